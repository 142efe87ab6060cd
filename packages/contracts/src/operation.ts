import { z } from 'zod';
import type { ErrorCode } from './error-codes.ts';
import type { Permission } from './permissions.ts';

/** Media types of an answer that arrives piece by piece. */
export const STREAM_TYPES = ['text/event-stream', 'application/x-ndjson'] as const;

/** What a form may have beside its files: the other fields, and the lines between the parts. */
export const FORM_SPARE_BYTES = 1_048_576;

/**
 * `openai`: the error object of OpenAI's API. `flowise`: a problem with the fields that clients of Flowise read, as
 * application/json.
 */
export type ErrorDialect = 'problem' | 'openai' | 'flowise';

/** A body of multipart/form-data (RFC 7578), read while it arrives. */
export interface MultipartSpec {
  /** The field of the files. */
  readonly files: string;
  readonly mostFiles: number;
  /** Bytes of one file. */
  readonly fileBytes: number;
  /** The other fields may come as JSON, without files. */
  readonly orJson?: boolean;
}

/** A file as it arrives. What it is called and what it is are claims of the client. */
export interface FormFile {
  readonly name: string;
  readonly mime: string;
  /** Its bytes, once; what was not read when the next file is asked for is passed over. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface Form<Fields> {
  /** One after the other, as the client sends them. */
  files(): AsyncIterable<FormFile>;
  /** Known at the end of the form: whatever has not been read of its files until then is passed over. */
  fields(): Promise<Fields>;
}

export interface OperationSpec {
  readonly id: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With `:name` for parameters. */
  readonly path: string;
  readonly summary: string;
  readonly permission: Permission;
  /** Of a public operation: whoever sends a credential all the same is known by it, and held to this permission. */
  readonly callerPermission?: Permission;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** `required`: a money POST, refused without an Idempotency-Key header. */
  readonly idempotencyKey?: 'required' | 'optional';
  /** Success status; 200 when absent. */
  readonly status?: number;
  /** Further success statuses the handler may choose by `reply(status, body)`. */
  readonly alsoStatus?: readonly number[];
  /** The answer's schema; `streams: true` says that it arrives as SSE or NDJSON instead. */
  readonly result: z.ZodType;
  readonly streams?: boolean;
  /** Further media types of the success, beside JSON, of which the client chooses by `Accept`. */
  readonly alsoAs?: readonly string[];
  /** The answer is bytes, of one of these media types, instead of JSON. */
  readonly bytesAs?: readonly string[];
  /** Errors the caller has to handle, beside the ones every operation has. */
  readonly errors?: readonly ErrorCode[];
  /** The sentence older clients match on when the request is not valid. */
  readonly invalidDetail?: string;
  /** The body reaches the handler as the bytes that came, for a signature over them; `body` is then a schema of those. */
  readonly rawBody?: boolean;
  /** The body is a form with files; `body` is then the schema of its other fields. */
  readonly multipart?: MultipartSpec;
  /** Bytes; 64 KiB when absent, and for a form what its files may have and {@link FORM_SPARE_BYTES}. */
  readonly bodyLimit?: number;
  /** How errors look; `problem` (RFC 9457) when absent. */
  readonly dialect?: ErrorDialect;
  /** Begins an AI answer, or other work of an AI server, which the limits of answers count. */
  readonly answers?: boolean;
}

/** Declares one operation: validation, types, documentation and typed client come from this one object. */
export const operation = <const S extends OperationSpec>(spec: S): S => spec;

type Part<S, K extends 'params' | 'query' | 'body', Side extends 'in' | 'out'> = S extends {
  readonly [P in K]: infer Z extends z.ZodType;
}
  ? { readonly [P in K]: Side extends 'in' ? z.input<Z> : z.output<Z> }
  : { readonly [P in K]?: undefined };

/** What a server's handler receives: parsed and bounded. */
export type ServerInput<S extends OperationSpec> = Part<S, 'params', 'out'> &
  Part<S, 'query', 'out'> &
  (S extends { readonly multipart: MultipartSpec }
    ? { readonly body: Form<Part<S, 'body', 'out'>['body']> }
    : Part<S, 'body', 'out'>);
/** What a client passes; the typed client sends no forms. */
export type ClientInput<S extends OperationSpec> = Part<S, 'params', 'in'> &
  Part<S, 'query', 'in'> &
  (S extends { readonly multipart: MultipartSpec } ? { readonly body: never } : Part<S, 'body', 'in'>);
/** What a handler returns. */
export type ServerResult<S extends OperationSpec> = z.input<S['result']>;
/** What a client receives. */
export type ClientResult<S extends OperationSpec> = z.output<S['result']>;

/**
 * Accepts a second spelling of fields on input: `aliases` maps the other name to the name in `schema`.
 * When both are sent, the name of the schema wins and the other one is dropped.
 */
export function withAliases<T extends z.ZodType>(schema: T, aliases: Readonly<Record<string, string>>) {
  return z.preprocess((value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const entries = Object.entries(value).filter(([name]) => !Object.hasOwn(aliases, name));
    const named = new Map(entries);
    for (const [other, name] of Object.entries(aliases)) {
      if (Object.hasOwn(value, other) && !named.has(name)) named.set(name, (value as Record<string, unknown>)[other]);
    }
    return Object.fromEntries(named);
  }, schema);
}

/** Keyset page: at most 100 rows, an opaque cursor of the server's own making. */
export const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(50),
  cursor: z.string().max(512).optional(),
});
