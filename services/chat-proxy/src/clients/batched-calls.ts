import { randomUUID } from 'node:crypto';
import type { ErrorCode, OperationSpec } from '@tollgate/contracts';
import { AppError, createGather, requestContext, unavailable } from '@tollgate/http-kit';
import { type CallOptions, mayHaveBeenApplied, refusal } from '@tollgate/http-kit/client';
import type { Clock } from '../ports.ts';

/** A call that may go alone or with others of its kind. */
export interface BatchedCall<Item, Result> {
  /** How it goes with others. */
  readonly item: Item;
  /** For the refusals that concern the one on whose behalf it is made. */
  readonly call: CallOptions;
  /** Repeating it, or making it beside `item`, has one effect. */
  readonly alone: () => Promise<Result>;
}

export interface BatchedCallsOptions<Item> {
  /** What each call would be alone. */
  readonly operation: Pick<OperationSpec, 'id' | 'errors'>;
  readonly send: (items: Item[], call: CallOptions) => Promise<{ readonly answers: readonly Answer[] }>;
  /** Milliseconds for one call, its repetition included. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly onUnavailable: ErrorCode;
  /** The answer to a client waits for them: one waits for no other while no more than so many are under way. */
  readonly urgentWhileFew?: number;
  /** Told of an error that proves that nothing has happened. */
  readonly hadNoEffect: (error: AppError) => void;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: unknown;
}

/** Half of what the contract takes. */
const MOST_ITEMS = 50;
const PATIENCE_MS = 25;
/** After this share of the time a batch without an answer is sent once more. */
const FIRST_SHARE = 2 / 3;
/** A neighbour of an earlier version is not asked for batches again so soon. */
const ALONE_MS = 60_000;
const RETRY_AFTER_SECONDS = 2;
/** Not known in time. */
const LATER = 202;

/**
 * Calls that go together while others of their kind are under way, each with the answer it would have had alone. One alone goes
 * as it always has. Whatever a batch cannot decide for one of them is asked again alone.
 */
export function createBatchedCalls<Item, Result>(
  options: BatchedCallsOptions<Item>,
): (call: BatchedCall<Item, Result>) => Promise<Result> {
  const { clock, onUnavailable, hadNoEffect } = options;
  let aloneUntil = 0;

  async function run(calls: readonly BatchedCall<Item, Result>[]): Promise<PromiseSettledResult<Result>[]> {
    const now = clock.now();
    // A moment further away than the longest was set by a clock that has been put back since.
    aloneUntil = Math.min(aloneUntil, now + ALONE_MS);
    if (calls.length === 1 || now < aloneUntil) return allAlone(calls);
    try {
      const { answers, isSecond } = await sendTwice(calls.map(({ item }) => item));
      return await Promise.allSettled(calls.map((call, at) => resultOf(call, answers[at], isSecond)));
    } catch (error) {
      if (isAway(error)) throw error;
      // Refused as a whole, and nothing has happened: one of them is at fault, or they know no batches there.
      if (error instanceof AppError && error.code === 'NOT_FOUND') aloneUntil = now + ALONE_MS;
      return allAlone(calls);
    }
  }

  const isAway = (error: unknown): boolean => error instanceof AppError && error.code === onUnavailable;

  /** No answer is no refusal: the first may have been applied, and the second one's refusals prove nothing. */
  async function sendTwice(items: Item[]): Promise<{ answers: readonly Answer[]; isSecond: boolean }> {
    const began = performance.now();
    const send = (timeoutMs: number) =>
      // Of none of their requests alone.
      requestContext.run({ requestId: randomUUID() }, () => options.send(items, { timeoutMs }));
    try {
      return { ...(await send(options.timeoutMs * FIRST_SHARE)), isSecond: false };
    } catch (first) {
      if (!isAway(first)) throw first;
      const isSecond = mayHaveBeenApplied(first);
      const left = options.timeoutMs - (performance.now() - began);
      return await send(Math.max(1, left)).then(
        (answered) => ({ ...answered, isSecond }),
        (second: unknown) => {
          throw isSecond ? first : second;
        },
      );
    }
  }

  async function resultOf(
    { alone, call }: BatchedCall<Item, Result>,
    answer: Answer | undefined,
    isSecond: boolean,
  ): Promise<Result> {
    const { status, headers = {}, body } = answer ?? { status: LATER };
    if (status === LATER || status >= 500) return alone().catch(asUncertain);
    if (status < 300) return body as Result; // the contract of the batch has checked it
    const error = refusal(options.operation, { status, body, headers, refusesUs: false }, call, onUnavailable);
    if (!isSecond) hadNoEffect(error);
    throw error;
  }

  /** The item may still have its effect, whatever its repetition was answered. */
  function asUncertain(error: unknown): never {
    if (!(error instanceof AppError)) throw unavailable(onUnavailable, RETRY_AFTER_SECONDS, error);
    const { code, detail, headers, extra } = error;
    throw new AppError(code, detail, { cause: error, headers, extra });
  }

  const { urgentWhileFew: fewUnderWay } = options;
  const urgent = fewUnderWay === undefined ? {} : { fewUnderWay, isUrgent: true };
  const gather = createGather({ run, mostItems: MOST_ITEMS, patienceMs: PATIENCE_MS, ...urgent });
  // Whoever sends it, it belongs to the request that it was made for.
  return (call) => gather({ ...call, alone: requestContext.bound(call.alone) });
}

const allAlone = <Item, Result>(calls: readonly BatchedCall<Item, Result>[]): Promise<PromiseSettledResult<Result>[]> =>
  Promise.allSettled(calls.map(({ alone }) => alone()));
