import type { AnswerEvent, UpstreamPart } from './answer.ts';
import type { CheckedUpload } from './file-rules.ts';
import { type Bill, spendable } from './price.ts';
import type { ChatflowId, FileId, Hold, SessionId } from './wire-types.ts';

export interface Opening {
  readonly sessionId: SessionId;
  readonly hold: Hold;
  readonly chatflowId: ChatflowId;
  readonly at: Date;
  readonly uploads: readonly CheckedUpload[];
  /** Under which they are kept, one for each upload; absent when they are not. */
  readonly fileIds: readonly FileId[] | undefined;
  /** Not, when the client wants it kept and nothing may be. */
  readonly isKept: boolean;
}

/** The events before the upstream's first one. */
export function openingEvents({ sessionId, hold, chatflowId, at, uploads, fileIds, isKept }: Opening): AnswerEvent[] {
  const first = {
    event: 'session_id',
    data: sessionId,
    chatflow_id: chatflowId,
    timestamp: at.toISOString(),
    status: 'streaming_started',
    request_id: hold.holdId,
    ...(!isKept && { stored: false }),
    ...clampOf(hold),
  };
  if (uploads.length === 0) return [first];
  const files = uploads.map(({ name, type, mime, sizeBytes }, place) => {
    const fileId = fileIds?.[place];
    return { ...(fileId !== undefined && { file_id: fileId }), name, type, mime, size: sizeBytes };
  });
  return [first, { event: 'files_uploaded', data: files }];
}

/** What of an upstream's part the client sees; usage is told at the end, in credits. */
export function eventOf(part: UpstreamPart, sessionId: SessionId): AnswerEvent | undefined {
  if (part.kind === 'text') return { event: 'token', data: part.text };
  if (part.kind === 'thinking') return { event: 'thinking', data: part.text };
  if (part.kind === 'chunk') return { event: 'chunk', data: part.chunk };
  if (part.kind !== 'event') return undefined;
  const { event, data } = part.event;
  // Clients of Flowise look for the conversation here; they get ours.
  return event === 'metadata' ? { event, data: { ...Object(data), chatId: sessionId, sessionId } } : part.event;
}

const END: AnswerEvent = { event: 'end', data: '[DONE]' };

/** What the answer cost and what is left, then the end. */
export const closingEvents = (hold: Hold, bill: Bill | undefined): AnswerEvent[] => [usageEvent(hold, bill), END];

/** The same for an answer that its user has stopped, as Flowise says it: the client gets a clean end. */
export const stoppedEvents = (hold: Hold, bill: Bill | undefined): AnswerEvent[] => [
  usageEvent(hold, bill),
  { event: 'abort', data: '[DONE]' },
  END,
];

function usageEvent(hold: Hold, bill: Bill | undefined): AnswerEvent {
  const usage = {
    credits: bill?.credits ?? 0,
    remaining_credits: bill?.remainingCredits ?? spendable(hold),
    input_tokens: bill?.inputTokens ?? 0,
    output_tokens: bill?.outputTokens ?? 0,
    ...(bill && detailsOf(bill)),
    estimated: bill?.estimated ?? false,
    request_id: hold.holdId,
    ...clampOf(hold),
  };
  return { event: 'usage', data: usage };
}

/** What the upstream tells about its counts, when there is something to tell. */
const detailsOf = ({ cachedTokens, reasoningTokens }: Bill) => ({
  ...(cachedTokens && { cached_tokens: cachedTokens }),
  ...(reasoningTokens && { reasoning_tokens: reasoningTokens }),
});

/** The balance allowed only a shorter answer than usual: told before it begins and after it has ended. */
const clampOf = ({ clamped, units }: Hold) => (clamped ? { clamped_to: units.output } : {});

/** What breaks off an answer whose client has gone: nothing has failed. */
export const isLeaving = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';
