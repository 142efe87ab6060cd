import type { Clock, Turns } from '../../ports.ts';
import type { createSyncChatflows } from './sync-chatflows.ts';

export interface SyncInTurnDeps {
  readonly sync: ReturnType<typeof createSyncChatflows>;
  readonly turns: Turns;
  readonly clock: Clock;
  /** Milliseconds for which no other instance does the same. */
  readonly turnMs: number;
}

/** One turn of the background task: of all instances one asks the upstreams, the others have nothing to do. */
export const createSyncInTurn = ({ sync, turns, clock, turnMs }: SyncInTurnDeps) =>
  async function syncInTurn(): Promise<void> {
    const now = clock.now();
    if (await turns.take('sync', new Date(now), new Date(now + turnMs))) await sync({ isUnattended: true });
  };
