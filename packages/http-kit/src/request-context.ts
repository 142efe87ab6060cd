import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { Caller } from './caller.ts';

export interface RequestIds {
  readonly requestId: string;
  /** Filled in once the caller is known. */
  userId?: string;
  /** The workspace of the caller's token. */
  workspaceId?: string;
  service?: string;
}

const storage = new AsyncLocalStorage<RequestIds>();
const PLAUSIBLE_ID = /^[\w.:-]{8,128}$/;

/** The ids of the request that is being answered, for logs and for calls to neighbours. */
export const requestContext = {
  get: (): RequestIds | undefined => storage.getStore(),
  run: <T>(ids: RequestIds, work: () => T): T => storage.run(ids, work),
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
  /** The same as fields of a log line. */
  fields: (): Record<string, string> | undefined => {
    const ids = storage.getStore();
    return ids && { requestId: ids.requestId, ...(ids.userId !== undefined && { userId: ids.userId }) };
  },
};

/** A caller's `x-request-id` when it is harmless (8-128 of letters, digits and `._:-`), else a new UUID. */
export const requestIdFrom = (header: unknown): string =>
  typeof header === 'string' && PLAUSIBLE_ID.test(header) ? header : randomUUID();
