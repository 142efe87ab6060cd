import type { Answerer } from '../answers.ts';
import type { CallLog, RecordedCall } from '../call-log.ts';
import type { Clock } from '../../clock.ts';
import type { Exchange } from '../exchange.ts';
import type { FakeFlow } from './flowise-flows.ts';
import type { MessageStore } from './flowise-messages.ts';
import type { FailureCount } from '../playback.ts';
import type { ScenarioQueue } from '../scenario-queue.ts';

/** A prediction, with the identities that Flowise settled on. */
export type FlowiseCall = RecordedCall & { flowId: string; chatId: string; sessionId: string };

/** A call of the abort route, whether or not something ran. */
export type RecordedAbort = { flowId: string; chatId: string; at: number };

/** What the routes of one fake Flowise share. */
export type FlowiseContext = {
  readonly apiKey: string;
  flows(): readonly FakeFlow[];
  readonly messages: MessageStore;
  /** Uploaded bytes by flow, chat and file name. */
  readonly attachments: Map<string, Buffer>;
  /** Open streams by chatId. Flowise has one place per chat: the second stream takes it from the first. */
  readonly slots: Map<string, Exchange>;
  /** Running agent flows by flow and chat; chains cannot be stopped. */
  readonly running: Map<string, AbortController>;
  readonly aborts: RecordedAbort[];
  readonly feedback: object[];
  readonly leads: object[];
  readonly log: CallLog<FlowiseCall>;
  readonly scenarios: ScenarioQueue;
  readonly failures: FailureCount;
  readonly answerer: Answerer;
  readonly clock: Clock;
  readonly stop: AbortSignal;
};

export function runningKey(flowId: string, chatId: string): string {
  return `${flowId} ${chatId}`;
}

/** Headers that Flowise puts on every answer. */
export const FLOWISE_HEADERS = {
  vary: 'Origin',
  'content-security-policy': "frame-ancestors 'self'",
  'x-frame-options': 'SAMEORIGIN',
};
