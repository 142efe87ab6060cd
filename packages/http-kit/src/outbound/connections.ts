import type { Agent } from 'undici';

export interface Connections {
  readonly open: number;
  readonly free: number;
  /** Requests that wait for a connection. */
  readonly waiting: number;
}

/** What an agent holds at this moment, of all hosts together. */
export function connectionsOf(agent: Agent): Connections {
  const sum = { open: 0, free: 0, waiting: 0 };
  for (const stats of Object.values(agent.stats)) {
    sum.open += Number(stats.connected);
    // An agent with one connection keeps a client, which does not count its idle ones.
    sum.free += 'free' in stats ? stats.free : Number(stats.connected && stats.size === 0);
    sum.waiting += stats.pending;
  }
  return sum;
}
