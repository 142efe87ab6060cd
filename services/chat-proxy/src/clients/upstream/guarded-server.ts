import { AppError, ChosenParts, unavailable } from '@tollgate/http-kit';
import type { UpstreamKind } from '../../domain/chatflow.ts';
import type { Clock, Upstream, UpstreamServer } from '../../ports.ts';
import { type CircuitBreaker, createCircuitBreaker } from '../circuit-breaker.ts';
import { isReplaceable, isServerFault } from './upstream-error.ts';

export interface GuardOptions {
  readonly name: string;
  readonly kind: UpstreamKind;
  readonly clock: Clock;
  /** Failures in a row after which nothing is asked. */
  readonly failures: number;
  /** Milliseconds until one question may try again. */
  readonly pauseMs: number;
  /** Told each time that begins. */
  readonly opened: () => void;
  /** Told of each answer how long its first part took, in milliseconds. */
  readonly began?: (ms: number) => void;
}

export interface GuardedServer extends UpstreamServer {
  readonly breaker: Pick<CircuitBreaker, 'state'>;
}

const MS_PER_SECOND = 1000;

/** A server that is left alone for a while when it has failed several times in a row. */
export function guardedServer(upstream: Upstream, { name, kind, began, ...options }: GuardOptions): GuardedServer {
  const breaker = createCircuitBreaker({
    ...options,
    judge: (error) => judge(error, kind),
    refusal: (waitMs) => unavailable('UPSTREAM_UNAVAILABLE', Math.max(1, Math.ceil(waitMs / MS_PER_SECOND))),
  });

  const failed = (error: unknown): void => breaker.noteLateFailure(error);

  return {
    name,
    kind,
    breaker,
    isReplaceable,
    waitMs: () => breaker.waitMs(),
    ...(upstream.embed && {
      embed: (...asked: Parameters<Required<Upstream>['embed']>) =>
        breaker.run(async () => (upstream as Required<Upstream>).embed(...asked)),
    }),
    answer: (chatflow, prompt, maxOutput, signal) =>
      new ChosenParts(async () => {
        const source = upstream.answer(chatflow, prompt, maxOutput, signal)[Symbol.asyncIterator]();
        const asked = performance.now();
        const first = await breaker.run(() => source.next());
        if (!first.done) began?.(performance.now() - asked);
        return { source, first, failed };
      }),
  };
}

/** Whatever else ends an answer, such as a client that leaves, says nothing of the server. */
function judge(error: unknown, kind: UpstreamKind): 'away' | 'answered' | 'unknown' {
  if (isServerFault(error, kind)) return 'away';
  const isOfServer = error instanceof AppError && (error.code === 'RATE_LIMITED' || error.code.startsWith('UPSTREAM_'));
  return isOfServer ? 'answered' : 'unknown';
}
