import { baseUrl, durationMs } from '@tollgate/config';
import { z } from 'zod';

const LONGEST_DOCUMENT = 65_536;
const LONGEST_HEADER = 1024;
export const LONGEST_MODEL = 180;
const MOST_SERVERS = 100;
const HEADER = /^[a-z][a-z0-9-]{0,63}$/;
/** Of one connection (RFC 9110, section 7.6.1), or of the message as this proxy writes it. */
const NEVER_SENT =
  /^(host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-.*|accept-encoding|proxy-.*|x-request-id|idempotency-key)$/;
/** What tells who somebody is, or where they come from. */
const NEVER_PASSED = /^(authorization|cookie2?|forwarded|via|x-forwarded-.*|x-real-ip|x-api-key|api-key|.*-token)$/;

const millisecondsFrom = (min: string, max: string) => durationMs({ min, max });
/** Bounds of the limits on time. */
export const limits = {
  connect: () => millisecondsFrom('10ms', '60s'),
  firstByte: () => millisecondsFrom('10ms', '1h'),
  idle: () => millisecondsFrom('10ms', '1h'),
  total: () => millisecondsFrom('10ms', '24h'),
  ending: () => millisecondsFrom('10ms', '10m'),
  pause: () => millisecondsFrom('10ms', '10m'),
};

const NameOfServer = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be 1-40 lower case letters, digits and -');
const NameOfModel = z.string().trim().min(1).max(LONGEST_MODEL);
export const PassedHeader = z
  .string()
  .toLowerCase()
  .regex(HEADER, 'must be the name of a header')
  .refine((name) => !NEVER_SENT.test(name) && !NEVER_PASSED.test(name), 'must not be a header that is never passed on');

/** `$NAME`: the variable, or the file that NAME_FILE names. */
export const REFERENCE = /^\$([A-Z][A-Z0-9_]{0,99})$/;
const KeyReference = z
  .string()
  .regex(REFERENCE, 'must name the variable that holds the key, such as $AZURE_API_KEY, and never be the key itself');

const Server = z.strictObject({
  name: NameOfServer,
  kind: z.enum(['flowise', 'openai'], 'must be flowise, or openai for any server with OpenAI’s API'),
  baseUrl: baseUrl(),
  apiKey: KeyReference.optional(),
  /** Sent with every request; a value may be a reference like that of `apiKey`. */
  headers: z
    .record(
      z
        .string()
        .toLowerCase()
        .regex(HEADER, 'must be the name of a header')
        .refine((name) => !NEVER_SENT.test(name), 'must not be a header of the connection'),
      z
        .string()
        .max(LONGEST_HEADER)
        .regex(/^[\x20-\x7e]+$/, 'must be printable ASCII'),
    )
    .default({}),
  passHeaders: z.array(PassedHeader).max(20).optional(),
  models: z.array(NameOfModel).max(1000).default([]),
  public: z.boolean('must be true or false').default(false),
  limitField: z.enum(['max_tokens', 'max_completion_tokens']).default('max_tokens'),
  publicOnly: z.boolean('must be true or false').default(false),
  connections: z.int().min(1).max(10_000).optional(),
  timeouts: z
    .strictObject({
      connect: limits.connect().optional(),
      firstByte: limits.firstByte().optional(),
      idle: limits.idle().optional(),
      total: limits.total().optional(),
      /** Of a Flowise server. */
      ending: limits.ending().optional(),
    })
    .default({}),
  breaker: z
    .strictObject({ failures: z.int().min(1).max(1000).optional(), pause: limits.pause().optional() })
    .default({}),
});

const Target = z.strictObject({ upstream: NameOfServer, model: NameOfModel.optional() });
const Route = z.strictObject({
  targets: z
    .array(Target.extend({ weight: z.int('must be a whole number').min(0).max(10_000).default(1) }))
    .max(20)
    .default([]),
  fallbacks: z.array(Target).max(20).default([]),
});

const Document = z
  .strictObject({
    servers: z.array(Server).max(MOST_SERVERS).default([]),
    /** By the name of a model, or the id of a flow. */
    routes: z.record(z.string().min(1).max(LONGEST_MODEL), Route).default({}),
  })
  .refine(({ servers }) => new Set(servers.map(({ name }) => name)).size === servers.length, {
    path: ['servers'],
    message: 'name a server twice',
  });

export type UpstreamsDocument = z.output<typeof Document>;

/** The JSON of UPSTREAMS; its faults name the place, and never the value, which may be a key in the wrong place. */
export function upstreamsDocument() {
  return z
    .string()
    .max(LONGEST_DOCUMENT)
    .transform((text, context): z.output<typeof Document> => {
      const parsed = Document.safeParse(jsonOf(text));
      if (parsed.success) return parsed.data;
      for (const { path, message } of parsed.error.issues)
        context.addIssue({ code: 'custom', message: `${placeOf(path)}: ${message}` });
      return z.NEVER;
    });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const placeOf = (path: readonly PropertyKey[]): string =>
  path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '') || 'it';
