import { type AppError, toProblem } from '@tollgate/http-kit';
import type { AnswerEvent } from '../../domain/answer.ts';
import type { Framing } from '../framing.ts';
import { createProcessFlow } from './process-flow.ts';

/** What the client calls the conversation, and what it asked. */
export interface FramedChat {
  readonly chatId: string;
  readonly sessionId: string;
  readonly question: string;
  /**
   * A chat window (flowise-embed) wants more than programs do: it parses the follow-up prompts of `metadata` once more, and
   * lets its user stop an agent flow only while it knows its nodes.
   */
  readonly isWindow: boolean;
}

/** Of events that only say that something goes on: a chat window shows them nowhere, and needs no bubble for them. */
const WITHOUT_BUBBLE = new Set([
  'nextAgentFlow',
  'nextAgent',
  'tool',
  'calledTools',
  'agentFlowEvent',
  'usage',
  'abort',
  'end',
]);
/** Told in Flowise's own words by `metadata`. */
const OURS = new Set(['session_id', 'files_uploaded']);

/**
 * The stream of a Flowise server, frame by frame: flowise-wire.md, SSE wire format. What its clients rely on and an upstream
 * may leave out is added: `start` opens the bubble, without which a chat window drops the text, and `metadata` names the chat.
 */
export function flowiseFraming(chat: FramedChat): Framing {
  let isOpen = false;
  let isTold = false;
  let chatMessageId: unknown;
  const flowAfter = createProcessFlow();

  const metadata = (data: unknown): string => {
    isTold = true;
    return frameOf({ event: 'metadata', data: metadataOf(chat, chatMessageId, data) });
  };
  const start = (): string => {
    if (isOpen) return '';
    isOpen = true;
    return frameOf({ event: 'start', data: '' });
  };

  function frame(event: AnswerEvent): string {
    if (event.event === 'session_id') chatMessageId = event['request_id'];
    if (OURS.has(event.event)) return '';
    if (event.event === 'start') return start();
    if (event.event === 'metadata') return start() + metadata(event.data);
    // The first event of the end: whoever names the answer must do it now.
    if (event.event === 'usage' && !isTold) return start() + metadata({}) + frameOf(event);
    if (event.event === 'agentFlowEvent' && event.data === 'INPROGRESS') isOpen = true;
    const flow = chat.isWindow ? flowAfter(event) : undefined;
    if (flow) return frameOf(event) + frameOf(flow);
    return (WITHOUT_BUBBLE.has(event.event) ? '' : start()) + frameOf(event);
  }

  return {
    contentType: 'text/event-stream',
    frame,
    failure: (error) => frameOf(errorEvent(error)),
    heartbeat: ':heartbeat\n\n',
  };
}

/** A sentence, because a chat window shows it as it is. */
function errorEvent(error: AppError): AnswerEvent {
  const { code, detail } = toProblem(error);
  return { event: 'error', data: detail, code };
}

function metadataOf(chat: FramedChat, chatMessageId: unknown, data: unknown): object {
  const { memoryType, followUpPrompts } = Object(data) as Record<string, unknown>;
  return {
    chatId: chat.chatId,
    chatMessageId,
    question: chat.question,
    sessionId: chat.sessionId,
    ...(memoryType !== undefined && { memoryType }),
    ...(followUpPrompts !== undefined && {
      followUpPrompts: chat.isWindow ? JSON.stringify(followUpPrompts) : followUpPrompts,
    }),
  };
}

const frameOf = (event: AnswerEvent): string => `message:\ndata:${withoutMarker(JSON.stringify(event))}\n\n`;

/**
 * Flowise's client for Python takes every `data:` out of a line, also those within the answer. With one letter as an escape it
 * reads the same in JSON; the `t`, because it can be no part of another escape.
 */
const withoutMarker = (json: string): string => json.replaceAll('data:', 'da\\u0074a:');
