import { reachable } from '@tollgate/http-kit';
import { type Mongo, troubleOf } from '@tollgate/mongo-kit';
import type { Config } from '../config.ts';
import { answerSlotsIn, rateCountsIn } from '../store/streams/answer-counts.ts';
import { answerStopsIn } from '../store/streams/answer-stops.ts';
import { idempotencyKeysIn } from '../store/streams/idempotency-keys.ts';
import { instancesIn } from '../store/streams/instances.ts';
import { keptAnswersIn } from '../store/streams/kept-answers.ts';
import { recordingsIn } from '../store/streams/recordings.ts';

/** What an answer needs beside its upstream and its client, with much to spare. */
const OVERDUE_MARGIN_MS = 30_000;

/** An answer that is older has escaped every other limit: one server failed before its first byte, another took its time. */
export function longestAnswerMs({ upstreams: { servers }, CLIENT_STALL_TIMEOUT: stallMs }: Config): number {
  const longest = (of: (timeouts: (typeof servers)[number]['timeouts']) => number) =>
    Math.max(0, ...servers.map(({ timeouts }) => of(timeouts)));
  return longest(({ firstByteMs }) => firstByteMs) + longest(({ totalMs }) => totalMs) + stallMs + OVERDUE_MARGIN_MS;
}

/** What the processes of this service tell each other about answers. */
export function openStreamStores(mongo: Mongo, instance: string, config: Config) {
  const { DEFAULT_WORKSPACE_ID: defaultWorkspaceId } = config;
  return {
    instances: reachable(instancesIn(mongo, instance), troubleOf),
    stops: reachable(answerStopsIn(mongo, instance, defaultWorkspaceId), troubleOf),
    shared: reachable(recordingsIn(mongo, instance, defaultWorkspaceId), troubleOf),
    keptAnswers: reachable(keptAnswersIn(mongo), troubleOf),
    keys: reachable(idempotencyKeysIn(mongo, instance), troubleOf),
    counts: reachable(rateCountsIn(mongo), troubleOf),
    slots: reachable(answerSlotsIn(mongo, { instance, longestAnswerMs: longestAnswerMs(config) }), troubleOf),
  };
}
