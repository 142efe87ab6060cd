import { AppError } from '@tollgate/http-kit';
import type { AnswerEvent } from '../domain/answer.ts';
import { closingEvents, eventOf, openingEvents } from '../domain/answer-events.ts';
import type { Chatflow } from '../domain/chatflow.ts';
import { Reply } from '../domain/reply.ts';
import type { HoldId } from '../domain/wire-types.ts';
import type { Asker, Chatflows, Clock, Upstream } from '../ports.ts';
import { endStopped, statusAfter } from './answers/end-stopped.ts';
import type { Strikes } from './answers/count-strikes.ts';
import type { Drain } from './answers/drain-answer.ts';
import type { Conversations } from './answers/hold-conversation.ts';
import type { Holds } from './answers/hold-credits.ts';
import type { OpenHold } from './answers/open-hold.ts';
import { type Ask, prepare } from './answers/prepare-ask.ts';

export interface ChatDeps {
  readonly chatflows: Pick<Chatflows, 'findFor'>;
  readonly conversations: Conversations;
  readonly holds: Holds;
  readonly upstreams: Readonly<Record<Chatflow['upstream'], Upstream>>;
  readonly drain: Drain;
  readonly strikes: Pick<Strikes, 'refuse'>;
  readonly newRequestId: () => HoldId;
  readonly clock: Clock;
  /** Aborts when the process must stop answering. */
  readonly stopping: AbortSignal;
  /** Told once per answer that reached an upstream. */
  readonly finished: (answer: { chatflow: Chatflow; hold: OpenHold; error: unknown }) => void;
}

/**
 * What happens to a chat request, from top to bottom. Whoever ends the conversation (the upstream, the client that leaves,
 * a time limit, a stop of this process), the caller pays once, for what was produced.
 * Nothing is yielded before the upstream has begun to answer, so that every refusal can still be an HTTP status.
 */
export async function* chat(
  deps: ChatDeps,
  caller: Asker,
  ask: Ask,
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent, void, undefined> {
  // An unknown chatflow and somebody else's look the same from outside.
  const chatflow = await deps.chatflows.findFor(caller, ask.chatflowId);
  if (!chatflow) throw new AppError('CHATFLOW_ACCESS_DENIED');
  deps.strikes.refuse(caller.userId);
  const { question, uploads, overrides, wantedOutput, choices } = prepare(chatflow, ask);
  const { completion, flowInput } = ask;
  const ofItsOwn = { ...(completion && { completion }), ...(flowInput && { flowInput }) };

  const requestId = deps.newRequestId();
  const turn = await deps.conversations.claim({ caller, chatflow, ask, requestId });
  const prompt = { ...turn.upstream, question, uploads, overrides, history: turn.history, ...ofItsOwn };
  const reply = new Reply({ promptBytes: turn.promptBytes, keeps: turn.stores });
  let hold: OpenHold | undefined;
  let opening: AnswerEvent[] = [];
  let failure: unknown;
  try {
    hold = await deps.holds.open(caller, { holdId: requestId, chatflow, reply, wantedOutput, choices });
    // Signals must reach the upstream read: a generator that waits on a silent upstream cannot be returned from outside.
    const over = AbortSignal.any([deps.stopping, hold.lost.signal]);
    const { maxOutput } = hold;
    const upstream = deps.upstreams[chatflow.upstream];
    const parts = deps.drain({ chatflow, reply, left: signal, over }, (stop) =>
      upstream.answer(chatflow, prompt, maxOutput, stop),
    );
    opening = openingEvents({
      sessionId: turn.sessionId,
      hold: hold.grant,
      chatflowId: chatflow.id,
      at: turn.at,
      uploads,
      isKept: turn.stores || !ask.stores,
    });

    for await (const part of parts) {
      const isFirst = reply.add(part);
      if (isFirst) yield* opening;
      const event = eventOf(part, turn.sessionId);
      if (event) yield event;
      const growth = deps.holds.grown(hold);
      if (growth) await growth;
    }
    if (!reply.hasBegun) yield* opening;
    reply.status = 'completed';
    yield* closingEvents(hold.grant, await deps.holds.bill(hold));
  } catch (error) {
    failure = error;
    reply.status = statusAfter(error, signal);
    yield* endStopped(error, { hold, opening }, deps.holds);
  } finally {
    // Neither throws: what cannot be settled or saved now is kept and repeated. Neither looks at the client's signal.
    await Promise.all([deps.holds.close(hold), deps.conversations.finish(turn, reply, deps.holds.bill(hold))]);
    if (hold) deps.finished({ chatflow, hold, error: failure });
  }
}
