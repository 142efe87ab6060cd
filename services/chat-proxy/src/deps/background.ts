import { createRounds, type Rounds } from '@tollgate/http-kit';
import type { createHeartbeats } from '@tollgate/telemetry';
import type { Config } from '../config.ts';
import type { Facts, Tell } from '../domain/facts.ts';
import { KEEPING_TURNS } from '../flows/answers/keep-leases.ts';
import type { MeasuredJournal } from '../flows/answers/measure-journal.ts';
import type { Answering } from './answer.ts';
import type { Stores } from './store.ts';

const SAVE_EVERY_MS = 2000;
const MEASURE_EVERY_MS = 10_000;
const BEATS_PER_LEASE = 4;
const BEAT_RETRY_MS = 1000;

type Task = Facts['background_failed']['task'];

interface Neighbours extends Pick<Answering, 'keeper' | 'settler' | 'comparer' | 'saveLater' | 'streams'> {
  readonly measured: MeasuredJournal;
  readonly mongo: Pick<Stores['mongo'], 'connected'>;
  readonly tell: Tell;
  readonly beat: ReturnType<typeof createHeartbeats>;
}

/** What goes on beside the requests; leftovers of an earlier life are looked at right away. */
export function backgroundRounds(
  config: Config,
  { keeper, settler, comparer, saveLater, streams, measured, mongo, tell, beat }: Neighbours,
): Rounds[] {
  const every = (task: Task, everyMs: number, turn: () => Promise<unknown>, options: { retryMs?: number } = {}) =>
    createRounds(turn, {
      ...options,
      everyMs,
      finished: beat(task, everyMs),
      failed: (error) => tell('background_failed', { task, reason: String(error) }),
    });
  const beats = every('beat', config.JOURNAL_LEASE / BEATS_PER_LEASE, () => streams.beat(), {
    retryMs: BEAT_RETRY_MS,
  });
  void mongo.connected.then(() => beats.nudge());
  return [
    every('renew', config.HOLD_RENEW_INTERVAL / KEEPING_TURNS, () => keeper.renew()),
    every('checkpoint', config.CHECKPOINT_INTERVAL / KEEPING_TURNS, () => keeper.noteDue()),
    every('leftovers', config.LEFTOVERS_INTERVAL, () => settler.tick()),
    every('journal', config.JOURNAL_COMPARE_INTERVAL, () => comparer.compare()),
    beats,
    every('listen', config.ANSWER_LISTEN_INTERVAL, () => streams.listen()),
    every('share', config.ANSWER_SHARE_INTERVAL, () => streams.share()),
    every('messages', SAVE_EVERY_MS, () => saveLater.tick()),
    every('measure', MEASURE_EVERY_MS, () => measured.read()),
  ];
}
