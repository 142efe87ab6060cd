import type { AnswerEvent } from '../../domain/answer.ts';
import type { Asker, Owner } from '../../ports.ts';
import { chat, type ChatDeps } from '../chat.ts';
import type { Ask } from './prepare-ask.ts';
import { type RunningAnswer, RunningAnswers, type WhichAnswer } from './running-answers.ts';

type Answer = AsyncGenerator<AnswerEvent, void, undefined>;

export interface AnswerRequests {
  /** What every door calls: `chat`, under a request id by which its owner can stop the answer. */
  chat(caller: Asker, ask: Ask, signal: AbortSignal): Answer;
  /** False when the owner has no such answer under way; somebody else's looks like one that does not exist. */
  stop(owner: Owner, which: WhichAnswer): Promise<boolean>;
}

export interface AnswerRequestsDeps {
  readonly chat: ChatDeps;
  readonly defaultWorkspaceId: string;
}

export function createAnswerRequests(deps: AnswerRequestsDeps): AnswerRequests {
  const running = new RunningAnswers();
  const ownerOf = ({ userId, workspaceId = deps.defaultWorkspaceId }: Owner): Owner => ({ userId, workspaceId });

  async function* answer(caller: Asker, ask: Ask, signal: AbortSignal): Answer {
    const requestId = deps.chat.newRequestId();
    const stop = new AbortController();
    const { chatflowId, sessionId } = ask;
    const own: RunningAnswer = {
      requestId,
      owner: ownerOf(caller),
      chatflowId,
      sessionId: sessionId?.toLowerCase(),
      stop,
    };
    const stopping = AbortSignal.any([deps.chat.stopping, stop.signal]);
    running.add(own);
    try {
      for await (const event of chat({ ...deps.chat, newRequestId: () => requestId, stopping }, caller, ask, signal)) {
        if (event.event === 'session_id') own.sessionId = String(event.data);
        yield event;
      }
    } finally {
      running.remove(own);
    }
  }

  return { chat: answer, stop: async (owner, which) => running.stop(ownerOf(owner), which) };
}
