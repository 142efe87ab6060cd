import { type Form, IdempotencyKey } from '@tollgate/contracts';
import { parseCookie } from 'cookie';
import { z } from 'zod';
import { AppError, type FieldFault } from '../app-error.ts';
import type { Caller, Headers } from '../caller.ts';
import type { OpenForm } from './form-body.ts';
import { Reply, type RequestContext, type Route, StreamReply } from '../route.ts';

export interface RawRequest {
  readonly method: string;
  readonly headers: Headers;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

const USER_AGENT_LENGTH = 512;

/** What a handler learns of a request beside its input. */
export const contextOf = (
  { headers, ip }: { readonly headers: Headers; readonly ip?: string | undefined },
  requestId: string,
  signal: AbortSignal,
): Omit<RequestContext, 'idempotencyKey'> => ({
  requestId,
  signal,
  ip: ip ?? '',
  userAgent: String(headers['user-agent'] ?? '').slice(0, USER_AGENT_LENGTH),
  cookies: parseCookie(String(headers['cookie'] ?? '')) as Record<string, string>,
  headers: headers as Record<string, string>,
});

/** Validates the request, runs the handler and strips the answer to what the contract names. A form ends with its handler. */
export async function runRoute(
  route: Route,
  request: RawRequest,
  caller: Caller | undefined,
  context: Omit<RequestContext, 'idempotencyKey'>,
): Promise<Reply | StreamReply> {
  try {
    return await run(route, request, caller, context);
  } finally {
    if (route.operation.multipart) (request.body as OpenForm).close();
  }
}

async function run(
  route: Route,
  request: RawRequest,
  caller: Caller | undefined,
  context: Omit<RequestContext, 'idempotencyKey'>,
): Promise<Reply | StreamReply> {
  const { operation } = route;
  const idempotencyKey = readIdempotencyKey(route, request.headers);
  const input = {
    params: parsed(operation.params, request.params, route),
    query: parsed(operation.query, request.query, route),
    body: operation.multipart
      ? judgedForm(request.body as OpenForm, route)
      : parsed(operation.body, request.body, route),
  };
  const full: RequestContext = idempotencyKey === undefined ? context : { ...context, idempotencyKey };
  const answer: unknown = await route.handle(input as never, caller as never, full);
  if (answer instanceof StreamReply) return answer;
  const { status, body, headers, cookies } =
    answer instanceof Reply ? answer : new Reply(operation.status ?? 200, answer, {}, []);
  return new Reply(status, stripped(route, body), headers, cookies);
}

function readIdempotencyKey(route: Route, headers: Headers): string | undefined {
  const wanted = route.operation.idempotencyKey;
  const value = headers['idempotency-key'];
  if (wanted === undefined) return undefined;
  if (value === undefined) {
    if (wanted === 'required') throw new AppError('IDEMPOTENCY_KEY_REQUIRED');
    return undefined;
  }
  const key = IdempotencyKey.safeParse(value);
  if (!key.success)
    throw invalid(route, [{ path: 'Idempotency-Key', message: 'must be 1-255 printable ASCII characters' }]);
  return key.data;
}

/** A form whose fields are checked when they are known. */
const judgedForm = (form: OpenForm, route: Route): Form<unknown> => ({
  files: () => form.files(),
  fields: async () => parsed(route.operation.body ?? NO_FIELDS, await form.fields(), route),
});
const NO_FIELDS = z.strictObject({});

function parsed(schema: z.ZodType | undefined, value: unknown, route: Route): unknown {
  if (!schema) return undefined;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues
    .slice(0, 20)
    .map(({ path, message }) => ({ path: path.map(String).join('.').slice(0, 200), message: message.slice(0, 200) }));
  throw invalid(route, faults, result.error);
}

/** A 422 when nothing is wrong but amounts, or nothing but a price; else 400. */
function invalid(route: Route, errors: FieldFault[], error?: z.ZodError): AppError {
  const onlyFault = OWN_CODES.find((code) =>
    error?.issues.every((issue) => issue.code === 'custom' && issue.params?.code === code),
  );
  return new AppError(onlyFault ?? 'VALIDATION_FAILED', route.operation.invalidDetail, { errors });
}

/** What a schema names in `params.code` of a refinement. */
const OWN_CODES = ['INVALID_AMOUNT', 'INVALID_PRICE'] as const;

/** An answer that breaks its own contract is our fault: 500, and the reason only in the log. */
function stripped(route: Route, body: unknown): unknown {
  const result = route.operation.result.safeParse(body);
  if (!result.success) {
    throw new AppError(
      'INTERNAL',
      `${route.operation.id} answered against its contract: ${z.prettifyError(result.error)}`,
    );
  }
  return result.data;
}
