import type { IncomingHttpHeaders } from 'node:http';
import type { CheckedScenario } from './scenario.ts';
import { createWaitingRoom } from '../waiting.ts';

/** One HTTP request as it arrived at a fake. */
export type RecordedRequest = {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  /** The parsed body: JSON, form fields, or text; undefined when there was none. */
  readonly body: unknown;
  /** Milliseconds since the epoch. */
  readonly at: number;
};

/** How an exchange came to its end, and who ended it. */
export type Closing = { by: 'client' | 'fake' | 'completion'; at: number };

/** A request that asked for generated output, with what became of it. */
export type RecordedCall = RecordedRequest & {
  /** Position among the calls since the start or the last reset; the first is 0. */
  readonly index: number;
  scenario: CheckedScenario;
  /** Tokens written so far. */
  tokensSent: number;
  /** What was truly consumed and produced so far, whatever the scenario lets the upstream claim. */
  usage: { input: number; output: number; reasoning?: number };
  closing?: Closing;
  /** Set when the client closed its connection before the answer was complete; milliseconds since the epoch. */
  closedByClientAt?: number;
  /** Whether the model still works on it; a Flowise flow goes on after its client has left. */
  generation: 'running' | 'completed' | 'aborted' | 'failed';
};

/** What every fake upstream offers to look at its calls. */
export type CallWatch<Call extends RecordedCall = RecordedCall> = {
  /** Generation calls in order of arrival; the oldest are forgotten beyond the limit. */
  readonly requests: readonly Call[];
  /** All other requests (lists, aborts, feedback …). */
  readonly otherRequests: readonly RecordedRequest[];
  /** Number of generation calls since the start or the last reset, forgotten ones included. */
  calls(): number;
  /** Resolves with call number `index` (from 0) as soon as it has arrived. */
  untilCall(index: number): Promise<Call>;
  /** Resolves when the exchange of call number `index` has ended, whoever ended it. */
  untilClosed(index: number): Promise<Closing>;
  /** Resolves when the model has stopped working on call number `index`. */
  untilGenerated(index: number): Promise<Call>;
  /** Resolves when at least `count` tokens of call number `index` were written. */
  untilSent(index: number, count: number): Promise<Call>;
};

export type CallLog<Call extends RecordedCall> = CallWatch<Call> & {
  add(call: Omit<Call, 'index'>): Call;
  addOther(request: RecordedRequest): void;
  /** To be told after any change of a recorded call. */
  changed(): void;
  reset(): void;
  stop(): void;
};

/** Keeps the last `keep` calls and lets tests await what happens to them. */
export function createCallLog<Call extends RecordedCall>(owner: string, keep: number): CallLog<Call> {
  const room = createWaitingRoom(owner);
  const requests: Call[] = [];
  const otherRequests: RecordedRequest[] = [];
  let count = 0;
  const find = (index: number): Call | undefined => requests[index - (count - requests.length)];

  return {
    requests,
    otherRequests,
    calls: () => count,
    untilCall: (index) => room.until(`call ${index}`, () => find(index)),
    untilClosed: (index) => room.until(`the end of call ${index}`, () => find(index)?.closing),
    untilGenerated: (index) =>
      room.until(`the end of generation ${index}`, () => only(find(index), (call) => call.generation !== 'running')),
    untilSent: (index, tokens) =>
      room.until(`${tokens} tokens of call ${index}`, () => only(find(index), (call) => call.tokensSent >= tokens)),
    add(call) {
      const recorded = Object.assign(call, { index: count }) as Call; // Omit over a type parameter loses the identity
      requests.push(recorded);
      count += 1;
      if (requests.length > keep) requests.shift();
      room.changed();
      return recorded;
    },
    addOther(request) {
      otherRequests.push(request);
      if (otherRequests.length > keep) otherRequests.shift();
      room.changed();
    },
    changed: () => room.changed(),
    reset() {
      requests.length = 0;
      otherRequests.length = 0;
      count = 0;
    },
    stop: () => room.close(),
  };
}

/** The part of a log that tests may see. */
export function watchOf<Call extends RecordedCall>(log: CallLog<Call>): CallWatch<Call> {
  const { requests, otherRequests, calls, untilCall, untilClosed, untilGenerated, untilSent } = log;
  return { requests, otherRequests, calls, untilCall, untilClosed, untilGenerated, untilSent };
}

function only<T>(value: T | undefined, isWanted: (value: T) => boolean): T | undefined {
  return value !== undefined && isWanted(value) ? value : undefined;
}
