import { AsyncLocalStorage } from 'node:async_hooks';
import type { Caller } from './caller.ts';
import { newUuid } from './process/new-uuid.ts';
import { traceParentIn } from './tracing/trace-parent.ts';
import type { Span } from './tracing/span.ts';

export interface RequestIds {
  readonly requestId: string;
  /** Filled in once the caller is known. */
  userId?: string;
  /** The workspace of the caller's token. */
  workspaceId?: string;
  service?: string;
  /** The code of the error that it was answered with. */
  failure?: string;
  /** The step under way; absent where nothing is traced. */
  readonly span?: Span | undefined;
  /** As it came in: handed on where nothing is traced. */
  readonly traceparent?: string | undefined;
}

/** By what work that goes on after its request, or after a restart, is known as a part of it. */
export interface Origin {
  readonly requestId: string;
  readonly traceparent?: string;
}

const storage = new AsyncLocalStorage<RequestIds | undefined>();
const PLAUSIBLE_ID = /^[\w.:-]{8,128}$/;

/** The ids of the request that is being answered, for logs and for calls to neighbours. */
export const requestContext = {
  get: (): RequestIds | undefined => storage.getStore(),
  run: <T>(ids: RequestIds, work: () => T): T => storage.run(ids, work),
  /** The work as a part of the request under way, whoever does it. */
  bound<T>(work: () => T): () => T {
    const ids = storage.getStore();
    return () => storage.run(ids, work);
  },
  /** What a later part of this request is to be known by. */
  origin: (): Origin | undefined => {
    const ids = storage.getStore();
    const traceparent = ids?.span?.traceparent ?? ids?.traceparent;
    return ids && { requestId: ids.requestId, ...(traceparent !== undefined && { traceparent }) };
  },
  /** Notes who is calling, once the token has proven it. */
  nameCaller(caller: Caller): void {
    const ids = storage.getStore();
    if (!ids) return;
    if (caller.kind === 'service') {
      ids.service = caller.service;
      return;
    }
    requestContext.nameSubject(caller);
  },
  /** The same for somebody who is known and not let in. */
  nameSubject({ userId, workspaceId }: { userId: string; workspaceId?: string | undefined }): void {
    const ids = storage.getStore();
    if (!ids) return;
    ids.userId = userId;
    if (workspaceId !== undefined) ids.workspaceId = workspaceId;
  },
  /** Notes the error that it is answered with. */
  nameFailure(code: string): void {
    const ids = storage.getStore();
    if (ids) ids.failure = code;
  },
  /** The same as fields of a log line. */
  fields: (): Record<string, string> | undefined => {
    const ids = storage.getStore();
    return (
      ids && {
        requestId: ids.requestId,
        ...(ids.userId !== undefined && { userId: ids.userId }),
        ...(ids.span && { traceId: ids.span.traceId }),
      }
    );
  },
};

/** A caller's `x-request-id` when it is harmless (8-128 of letters, digits and `._:-`). */
const ownId = (header: unknown): string | undefined =>
  typeof header === 'string' && PLAUSIBLE_ID.test(header) ? header : undefined;

/** What a request is known by: the caller's id, else that of the caller's trace, else a new UUID. */
export function idsIn(headers: Readonly<Record<string, unknown>>): Origin {
  const parent = traceParentIn(headers['traceparent']);
  return {
    requestId: ownId(headers['x-request-id']) ?? parent?.traceId ?? newUuid(),
    ...(parent && { traceparent: parent.text }),
  };
}
