import { AppError, ChosenParts, unavailable } from '@tollgate/http-kit';
import type { UpstreamPart } from '../../domain/answer.ts';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { Tell } from '../../domain/facts.ts';
import { type AnswerRoute, placedAt, targetsInOrder } from '../../domain/target.ts';
import type { EmbeddingRequest, Embeddings, Prompt, UpstreamServer } from '../../ports.ts';
import type { Attempt, Drain } from './drain-answer.ts';
import type { Holds } from './hold-credits.ts';
import type { OpenHold } from './open-hold.ts';

/** A chatflow at each server that may answer for it, the one to ask first at the front. */
export type Places = readonly [Chatflow, ...Chatflow[]];

export interface AnswersDeps {
  readonly servers: ReadonlyMap<string, UpstreamServer>;
  /** By the chatflow's id. */
  readonly routes: ReadonlyMap<string, AnswerRoute>;
  readonly holds: Pick<Holds, 'requote'>;
  readonly drain: Drain;
  /** At least 0 and below 1. */
  readonly random: () => number;
  readonly tell: Tell;
}

export interface Answers {
  /** Servers that have failed too often lately are passed over; UPSTREAM_UNAVAILABLE when none is left. */
  places(chatflow: Chatflow): Places;
  /** The answer of the first place, or of one other when that fails before it has answered anything. */
  from(places: Places, asking: Asking): AsyncGenerator<readonly UpstreamPart[], void, undefined>;
  /** Vectors of the first place alone: those of another model mean something else. */
  embed(places: Places, wanted: EmbeddingRequest, signal: AbortSignal): Promise<Embeddings>;
}

interface Asking {
  readonly prompt: Prompt;
  readonly hold: OpenHold;
  /** The client's going. */
  readonly left: AbortSignal;
}

const MS_PER_SECOND = 1000;

/** One question at several servers: whom to ask, and whom instead. What a failed attempt has cost is the operator's. */
export const createAnswers = (deps: AnswersDeps): Answers => ({
  places(chatflow) {
    const mayAsk = (upstream: string) => deps.servers.get(upstream)?.waitMs() === 0;
    const route = deps.routes.get(chatflow.id);
    const targets = targetsInOrder(chatflow, route, { draw: deps.random(), mayAsk });
    const [first, ...others] = targets.map((target) => placedAt(chatflow, target));
    if (!first) throw awayFor(deps, chatflow, route);
    return [first, ...others];
  },

  from: ([first, ...others], asking) =>
    new ChosenParts(async () => {
      const { parts, abandon } = attemptAt(deps, first, asking);
      const source = parts[Symbol.asyncIterator]();
      try {
        return { source, first: await source.next() };
      } catch (error) {
        const { hold, left } = asking;
        const isEnded = left.aborted || hold.stop.signal.aborted;
        if (isEnded || !serverOf(deps, first).isReplaceable(error)) throw error;
        const next = await replacement(deps, others, { hold, error });
        abandon();
        deps.tell('upstream_replaced', { holdId: hold.id, upstream: first.upstream, by: next.upstream });
        // The last attempt there is: a question is repeated once at most.
        return { source: attemptAt(deps, next, asking).parts[Symbol.asyncIterator]() };
      }
    }),

  async embed([place], wanted, signal) {
    const server = serverOf(deps, place);
    if (!server.embed) throw new AppError('UPSTREAM_FAILED', `${place.upstream} makes no vectors`);
    return server.embed(place, wanted, signal);
  },
});

function attemptAt(deps: AnswersDeps, place: Chatflow, { prompt, hold, left }: Asking): Attempt {
  const server = serverOf(deps, place);
  return deps.drain({ chatflow: place, reply: hold.reply, left, stop: hold.stop }, (stop) =>
    server.answer(place, prompt, hold.maxOutput, stop),
  );
}

/** The first of the other places that is worth asking and that the caller can pay; the hold then has its price. */
async function replacement(
  { servers, holds }: AnswersDeps,
  places: readonly Chatflow[],
  { hold, error }: { hold: OpenHold; error: unknown },
): Promise<Chatflow> {
  let refusal: unknown;
  for (const place of places) {
    if (servers.get(place.upstream)?.waitMs() !== 0) continue;
    try {
      await holds.requote(hold, place);
      return place;
    } catch (cause) {
      if (isShort(cause)) refusal ??= cause;
    }
  }
  throw refusal ?? error;
}

const isShort = (error: unknown): boolean =>
  error instanceof AppError && (error.code === 'INSUFFICIENT_CREDITS' || error.code === 'BUDGET_EXCEEDED');

function serverOf({ servers }: AnswersDeps, { upstream }: Chatflow): UpstreamServer {
  const server = servers.get(upstream);
  if (!server) throw new AppError('UPSTREAM_UNAVAILABLE', `${upstream} is not configured`);
  return server;
}

/** Says when the first of them may be asked again, unless all of them were taken out of the configuration. */
function awayFor({ servers }: AnswersDeps, chatflow: Chatflow, route: AnswerRoute | undefined): AppError {
  const names = [chatflow, ...(route?.targets ?? []), ...(route?.fallbacks ?? [])].map(({ upstream }) => upstream);
  const waits = names.flatMap((name) => servers.get(name)?.waitMs() ?? []);
  if (waits.length === 0) return new AppError('UPSTREAM_UNAVAILABLE', `${chatflow.upstream} is not configured`);
  return unavailable('UPSTREAM_UNAVAILABLE', Math.max(1, Math.ceil(Math.min(...waits) / MS_PER_SECOND)));
}
