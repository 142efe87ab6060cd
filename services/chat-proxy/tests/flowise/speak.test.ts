import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import type { ChatflowId, HoldId, SessionId } from '../../src/domain/wire-types.ts';
import { createSpeak, type SpeakDeps } from '../../src/flows/flowise/speak.ts';
import type { SpeechEvent } from '../../src/ports.ts';
import { chatflowOf } from '../fixtures/doubles.ts';
import { codeOf, createStage, type Stage } from '../fixtures/flow-stage.ts';

const SOUND: SpeechEvent = { event: 'tts_data', audioChunk: 'aGk=' };

/** A flow that says so much and is silent then. */
function speechOn(stage: Stage, sounds: readonly SpeechEvent[]) {
  const heard = Promise.withResolvers<void>();
  const side: SpeakDeps['side'] = {
    async *textToSpeech(_flow, _message, signal) {
      yield* sounds;
      heard.resolve();
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      await promise;
    },
  };
  const speak = createSpeak({
    ...stage.deps,
    limits: stage.streams.limits,
    openChat: async () => ({ chatId: 'chat', label: 'chat', sessionId: 'session' as SessionId, isNew: false }),
    sessions: { findAny: async () => ({ upstreamChatIds: ['slot'] }) as never },
    answers: { findAnswer: async () => ({ upstreamMessageId: 'message' }) as never },
    side,
  });
  const { id: chatflowId } = chatflowOf();
  const order = {
    chatflowId: chatflowId as ChatflowId,
    chatId: 'chat',
    requestId: 'r' as HoldId,
    text: 'Hello',
    origin: undefined,
  };
  return { heard: heard.promise, start: (left: AbortSignal) => speak(stage.asker, order, left) };
}

async function outcomeOf(speech: AsyncIterable<SpeechEvent>): Promise<unknown> {
  try {
    for await (const _ of speech) continue;
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

describe('an answer that is read aloud', () => {
  it('ends when the process must stop, and is charged once for what was heard', async () => {
    const stage = createStage();
    const { heard, start } = speechOn(stage, [SOUND]);
    const outcome = outcomeOf(start(new AbortController().signal));
    await heard;
    stage.stopping.abort(new AppError('SERVER_SHUTDOWN'));
    expect(await outcome).toBe('SERVER_SHUTDOWN');
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'settle', outcome: 'failed' } }]);
  });

  it('whose listener leaves before the first sound costs nothing, and counts as an answer that was left', async () => {
    const stage = createStage();
    const { heard, start } = speechOn(stage, []);
    const left = new AbortController();
    const outcome = outcomeOf(start(left.signal));
    await heard;
    left.abort();
    await outcome;
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'void' } }]);
    expect(stage.finished).toHaveLength(1);
  });

  it('is refused to whoever has left too many', async () => {
    const stage = createStage();
    stage.deps.strikes.refuse = () => {
      throw new AppError('RATE_LIMITED');
    };
    const { start } = speechOn(stage, [SOUND]);
    expect([await outcomeOf(start(new AbortController().signal)), stage.log]).toEqual(['RATE_LIMITED', []]);
  });
});
