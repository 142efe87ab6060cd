import type { Catalog } from './catalog.ts';
import type { Cursors } from './cursors.ts';
import type { Expiry } from './expiry.ts';
import type { Reply, Request } from './request.ts';
import type { Retries } from './retries.ts';
import type { Sessions } from './sessions.ts';
import type { Runner, Store } from './store.ts';
import type { WriteLocks } from './write-locks.ts';

/** What all connections share. */
export type Gateway = {
  store: Store;
  catalog: Catalog;
  cursors: Cursors;
  sessions: Sessions;
  retries: Retries;
  expiry: Expiry;
  writeLocks: WriteLocks;
  /** host:port drivers reach it under. */
  address: string;
  /** Of the DocumentDB extension. */
  version: string;
};

/** One command on its way. */
export type Context = {
  gateway: Gateway;
  connection: number;
  /** The session's transaction, or any connection. */
  runner: Runner;
};

export type Handler = (request: Request, context: Context) => Promise<Reply>;
