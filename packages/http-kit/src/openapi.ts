import {
  type Callers,
  ERROR_CODES,
  type ErrorCode,
  KeyScope,
  type OperationSpec,
  PERMISSIONS,
  Problem,
  STREAM_TYPES,
  wireCode,
} from '@tollgate/contracts';
import { z } from 'zod';
import {
  createDocument,
  type ZodOpenApiContentObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
} from 'zod-openapi';

/** Errors any operation may answer with, beside the ones it lists. */
const COMMON_ERRORS: readonly ErrorCode[] = ['VALIDATION_FAILED', 'RATE_LIMITED', 'INTERNAL', 'DEPENDENCY_UNAVAILABLE'];
const IdempotencyKeyHeader = z
  .string()
  .min(1)
  .max(255)
  .meta({ description: 'One value per intended effect; a repetition returns the first answer' });

/** The OpenAPI 3.1 document of a service, made from its operations. */
export function openApiDocument(
  title: string,
  version: string,
  operations: readonly OperationSpec[],
): ReturnType<typeof createDocument> {
  const paths: ZodOpenApiPathsObject = {};
  for (const operation of operations) {
    const path = operation.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: describe(operation) };
  }
  return createDocument({
    openapi: '3.1.0',
    info: { title, version, license: { name: 'MIT', identifier: 'MIT' } },
    paths,
    components: {
      securitySchemes: {
        user: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An access token of the auth service',
        },
        apiKey: {
          type: 'apiKey',
          in: 'header',
          name: 'X-API-Key',
          description:
            'An API key with the scope that `x-permission` names; `api-key` and `Authorization: Bearer` mean the same',
        },
        service: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'A service token, with X-On-Behalf-Of naming the user',
        },
      },
    },
  });
}

function describe(operation: OperationSpec): ZodOpenApiOperationObject {
  const callers = PERMISSIONS[operation.permission];
  return {
    operationId: operation.id,
    summary: operation.summary,
    security: schemesFor(operation).map((scheme) => ({ [scheme]: [] })),
    'x-permission': operation.permission,
    'x-callers': callers,
    requestParams: {
      ...(operation.params && { path: operation.params as z.ZodObject }),
      ...(operation.query && { query: operation.query as z.ZodObject }),
      ...(operation.idempotencyKey && {
        header: z.object({
          'Idempotency-Key':
            operation.idempotencyKey === 'required' ? IdempotencyKeyHeader : IdempotencyKeyHeader.optional(),
        }),
      }),
    },
    ...((operation.body ?? operation.multipart) && { requestBody: { required: true, content: contentOf(operation) } }),
    responses: { ...successes(operation), ...failures(operation, callers) },
  };
}

function contentOf({ body = z.strictObject({}), multipart }: OperationSpec): ZodOpenApiContentObject {
  if (!multipart) return { 'application/json': { schema: body } };
  const bytes = z.string().meta({ format: 'binary' });
  const files = multipart.mostFiles === 1 ? bytes : z.array(bytes).max(multipart.mostFiles);
  const fields = (body instanceof z.ZodPipe ? body.out : body) as z.ZodObject; // the second spellings of names are no part of it
  return {
    'multipart/form-data': {
      schema: fields.extend({ [multipart.files]: multipart.orJson ? files.optional() : files }),
    },
    ...(multipart.orJson && { 'application/json': { schema: body } }),
  };
}

function schemesFor({ permission }: OperationSpec): string[] {
  const callers = PERMISSIONS[permission];
  if (callers === 'anyone') return [];
  if (callers === 'service') return ['service'];
  return KeyScope.safeParse(permission).success ? ['user', 'apiKey'] : ['user'];
}

function successes(operation: OperationSpec) {
  const content = successContent(operation);
  const statuses = [operation.status ?? 200, ...(operation.alsoStatus ?? [])];
  return Object.fromEntries(statuses.map((status) => [String(status), { description: 'Success', content }]));
}

function successContent({ streams, bytesAs, result, alsoAs = [] }: OperationSpec): ZodOpenApiContentObject {
  const each = (types: readonly string[], schema: z.ZodType) =>
    Object.fromEntries(types.map((type) => [type, { schema }]));
  if (streams) return each(STREAM_TYPES, z.string());
  if (bytesAs) return each(bytesAs, z.string().meta({ format: 'binary' }));
  return { 'application/json': { schema: result }, ...each(alsoAs, z.string()) };
}

function failures(operation: OperationSpec, callers: Callers) {
  const codes = new Set<ErrorCode>([
    ...COMMON_ERRORS,
    ...(operation.errors ?? []),
    ...(callers === 'anyone' ? [] : (['UNAUTHENTICATED', 'FORBIDDEN'] as const)),
    ...(callers === 'anyone' || callers === 'service' ? [] : (['INSUFFICIENT_SCOPE'] as const)),
  ]);
  const byStatus = Map.groupBy(codes, (code) => ERROR_CODES[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => [
      String(status),
      {
        description: ofStatus.map((code) => `\`${wireCode(code)}\``).join(', '),
        content: { 'application/problem+json': { schema: Problem } },
      },
    ]),
  );
}
