import { reachable } from '@tollgate/http-kit';
import { type Mongo, troubleOf } from '@tollgate/mongo-kit';
import { answerSlotsIn, rateCountsIn } from './answer-counts.ts';
import { answerStopsIn } from './answer-stops.ts';
import { idempotencyKeysIn } from './idempotency-keys.ts';
import { instancesIn } from './instances.ts';
import { recordingsIn } from './recordings.ts';

export interface StreamStoresOptions {
  /** The name of this process. */
  readonly instance: string;
  readonly defaultWorkspaceId: string;
  readonly longestAnswerMs: number;
}

/** What the processes of this service tell each other about answers. */
export function streamStoresIn(mongo: Mongo, { instance, defaultWorkspaceId, longestAnswerMs }: StreamStoresOptions) {
  return {
    instances: reachable(instancesIn(mongo, instance), troubleOf),
    stops: reachable(answerStopsIn(mongo, instance, defaultWorkspaceId), troubleOf),
    shared: reachable(recordingsIn(mongo, instance, defaultWorkspaceId), troubleOf),
    keys: reachable(idempotencyKeysIn(mongo, instance), troubleOf),
    counts: reachable(rateCountsIn(mongo), troubleOf),
    slots: reachable(answerSlotsIn(mongo, { instance, longestAnswerMs }), troubleOf),
  };
}
