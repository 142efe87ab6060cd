import type { Chatflows, Clock, RetentionRule, Sessions, Turns } from '../../ports.ts';
import { erase, type EraseDeps } from './erase-conversations.ts';

const ERASED_AT_ONCE = 50;
/** For one rule in one turn; the next turn goes on. */
const MOST_BATCHES = 200;
const DAY_MS = 86_400_000;

export interface EnforceRetentionDeps extends EraseDeps {
  readonly sessions: Pick<Sessions, 'outdated' | 'delete'>;
  readonly chatflows: Pick<Chatflows, 'retentions'>;
  readonly turns: Turns;
  readonly clock: Clock;
  /** Milliseconds for which no other instance does the same. */
  readonly turnMs: number;
}

/**
 * One turn of the background task: deletes conversations that are older than their chatflow or their workspace keeps them,
 * and unstored ones whose time is over. Each rule counts by itself, so that the stricter one wins. Two instances that do it
 * at once only do it twice.
 */
export const createEnforceRetention = (deps: EnforceRetentionDeps) =>
  async function enforceRetention(): Promise<void> {
    const now = deps.clock.now();
    if (!(await deps.turns.take('retention', new Date(now), new Date(now + deps.turnMs)))) return;
    const kept = await deps.chatflows.retentions();
    await enforce(deps, { of: 'unstored' }, now);
    for (const { days, ...of } of kept) await enforce(deps, { ...of, before: new Date(now - days * DAY_MS) }, now);
  };

async function enforce(deps: EnforceRetentionDeps, rule: RetentionRule, now: number): Promise<void> {
  for (let batch = 0; batch < MOST_BATCHES; batch += 1) {
    const found = await deps.sessions.outdated(rule, new Date(now), ERASED_AT_ONCE);
    const { sessions } = await erase(deps, found, { now, unlessAnswering: true });
    // Fewer are gone than were found: somebody else is at it, or uses them again.
    if (sessions < ERASED_AT_ONCE) return;
  }
}
