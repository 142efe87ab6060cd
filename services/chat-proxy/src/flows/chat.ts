import { AppError } from '@tollgate/http-kit';
import type { Answer } from '../domain/answer.ts';
import { closingEvents, openingEvents } from '../domain/answer-events.ts';
import { inputBytesOf } from '../domain/file-rules.ts';
import { Reply } from '../domain/reply.ts';
import type { HoldId } from '../domain/wire-types.ts';
import type { Asker, Chatflows, Clock } from '../ports.ts';
import type { Answers } from './answers/answer-with-fallback.ts';
import type { ChatFiles } from './files/chat-files.ts';
import type { KeptFiles } from './files/keep-files.ts';
import { endStopped, statusAfter } from './answers/end-stopped.ts';
import type { Strikes } from './answers/count-strikes.ts';
import type { Conversations } from './answers/hold-conversation.ts';
import type { Holds } from './answers/hold-credits.ts';
import type { OpenHold } from './answers/open-hold.ts';
import { type Ask, prepare } from './answers/prepare-ask.ts';
import { toldOf } from './answers/told-of.ts';

export interface ChatDeps {
  readonly chatflows: Pick<Chatflows, 'findFor'>;
  readonly conversations: Conversations;
  readonly holds: Holds;
  readonly files: ChatFiles;
  readonly answers: Answers;
  readonly strikes: Pick<Strikes, 'refuse'>;
  readonly newRequestId: () => HoldId;
  readonly clock: Clock;
  /** Ends this answer: its owner, a stop of this process, the loss of its hold, or its client that goes. */
  readonly stop: AbortController;
  /** Told once per answer that reached an upstream. */
  readonly finished: (answer: { hold: OpenHold; error: unknown }) => void;
}

/** What all answers have in common. */
export interface SharedChatDeps extends Omit<ChatDeps, 'stop'> {
  /** Aborts when the process must stop answering. */
  readonly stopping: AbortSignal;
}

/**
 * What happens to a chat request, from top to bottom. Whoever ends the conversation (the upstream, the client that leaves,
 * a time limit, a stop of this process), the caller pays once, for what was produced.
 * Nothing is yielded before the upstream has begun to answer, so that every refusal can still be an HTTP status.
 */
export async function* chat(deps: ChatDeps, caller: Asker, ask: Ask, signal: AbortSignal): Answer {
  // An unknown chatflow and somebody else's look the same from outside.
  const chatflow = await deps.chatflows.findFor(caller, ask.chatflowId);
  if (!chatflow) throw new AppError('CHATFLOW_ACCESS_DENIED');
  deps.strikes.refuse(caller.userId);
  const { question, overrides, wantedOutput, choices } = prepare(chatflow, ask);
  const uploads = await deps.files.admit(caller, chatflow, ask.uploads);
  const places = deps.answers.places(chatflow);

  const requestId = deps.newRequestId();
  const turn = await deps.conversations.claim({ caller, chatflow, ask, requestId });
  const { completion, flowInput, clientHeaders } = ask;
  const asked = { question, uploads, overrides, completion, flowInput, clientHeaders, requestId };
  const prompt = { ...turn.upstream, ...asked, history: turn.history };
  const reply = new Reply({ promptBytes: turn.promptBytes + inputBytesOf(uploads), keeps: turn.stores });
  let hold: OpenHold | undefined;
  let files: KeptFiles | undefined;
  let failure: unknown;
  const isKept = turn.stores || !ask.stores;
  const told = { sessionId: turn.sessionId, chatflowId: chatflow.id, at: turn.at, uploads, isKept };
  // Told with the first part: until then another server may be asked, at another price.
  const opening = () => (hold ? openingEvents({ ...told, fileIds: files?.ids, hold: hold.grant }) : []);
  try {
    if (turn.stores && uploads.length > 0) files = await deps.files.keep(caller, turn.sessionId, uploads);
    const order = { holdId: requestId, chatflow: places[0], reply, wantedOutput, choices, stop: deps.stop };
    hold = await deps.holds.open(caller, order);
    // A new conversation was being opened meanwhile.
    await turn.opened;
    // The hold's own signal reaches the upstream read: a generator that waits on a silent upstream cannot be returned from outside.
    for await (const parts of deps.answers.from(places, { prompt, hold, left: signal }))
      for (const { events, grow } of toldOf(parts, { ...told, hold, opening, left: signal }, deps.holds)) {
        yield events;
        await grow?.();
      }
    if (!reply.hasBegun) yield opening();
    reply.status = 'completed';
    yield closingEvents(hold.grant, await deps.holds.conclude(hold));
  } catch (error) {
    failure = error;
    reply.status = statusAfter(error, signal);
    yield await endStopped(error, { hold, opening: opening() }, deps.holds);
  } finally {
    // Neither throws: what cannot be settled or saved now is kept and repeated. Neither looks at the client's signal.
    const isSent = hold !== undefined;
    await Promise.all([
      deps.holds.close(hold),
      deps.conversations.finish({ ...turn, files }, reply, deps.holds.bill(hold), isSent),
    ]);
    if (hold) deps.finished({ hold, error: failure });
  }
}
