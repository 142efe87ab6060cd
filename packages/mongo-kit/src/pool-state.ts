import type { Connection, mongo } from 'mongoose';

export interface PoolState {
  readonly open: number;
  readonly free: number;
  /** Operations that wait for a connection. */
  readonly waiting: number;
}

/** Which count each event of the driver moves (CMAP specification, "Connection Pool Monitoring"). */
const MOVES = {
  connectionCreated: ['open', 1],
  connectionClosed: ['open', -1],
  connectionCheckOutStarted: ['waiting', 1],
  connectionCheckOutFailed: ['waiting', -1],
  connectionCheckedOut: ['busy', 1],
  connectionCheckedIn: ['busy', -1],
} as const satisfies Partial<Record<keyof mongo.MongoClientEvents, readonly [string, number]>>;

/** Counts along; the driver itself tells nobody how full its pool is. */
export function watchPool(connection: Connection): () => PoolState {
  const counts = { open: 0, busy: 0, waiting: 0 };
  let watched: mongo.MongoClient | undefined;
  // mongoose makes the client when it opens, and another one after a failed attempt.
  connection.on('connected', () => {
    const client = connection.getClient();
    if (client === watched) return;
    watched = client;
    // What the one before still had does not count any more, nor what it tells later.
    Object.assign(counts, { open: 0, busy: 0, waiting: 0 });
    for (const [event, [count, by]] of Object.entries(MOVES))
      client.on(event as keyof mongo.MongoClientEvents, () => {
        if (client !== watched) return;
        counts[count] += by;
        if (event === 'connectionCheckedOut') counts.waiting -= 1;
      });
  });
  return () => {
    const open = Math.max(counts.open, counts.busy);
    return { open, free: Math.max(0, open - counts.busy), waiting: Math.max(0, counts.waiting) };
  };
}
