import { randomBytes } from 'node:crypto';
import { type Claim, stringifyWith } from './claimed-usage.ts';

/** The head that all chunks of one answer share. */
export type AnswerHead = { id: string; created: number; model: string; system_fingerprint: string };

export type ToolCall = { id: string; type: 'function'; function: { name: string; arguments: string } };

export const DONE = 'data: [DONE]\n\n';
export const HEARTBEAT = ': keep-alive\n\n';
export const BROKEN_FRAME = 'data: {"choices":[{"index":0,"delta":{"content":"never\n\n';
export const UNKNOWN_FRAME = 'event: mystery\ndata: {"type":"mystery","value":1}\n\n';

const USAGE_SLOT = ' usage ';
const ERROR_KINDS: Record<number, { type: string; code: string | null }> = {
  400: { type: 'invalid_request_error', code: 'invalid_value' },
  401: { type: 'invalid_request_error', code: 'invalid_api_key' },
  403: { type: 'permission_error', code: null },
  404: { type: 'invalid_request_error', code: 'model_not_found' },
  429: { type: 'requests', code: 'rate_limit_exceeded' },
};

export function answerHead(model: string, nowMs: number): AnswerHead {
  return { id: `chatcmpl-${randomId()}`, created: Math.floor(nowMs / 1000), model, system_fingerprint: 'fp_fake' };
}

/** `usage` absent: the field is left out; null: the word null, as in all but the last chunk of a stream with usage. */
export type ChunkUsage = { usage?: Claim | null };

/** One `data:` frame of a stream. */
export function chunk(head: AnswerHead, choices: readonly object[], { usage }: ChunkUsage): string {
  const field = usage === undefined ? {} : { usage: USAGE_SLOT };
  const body = { ...head, object: 'chat.completion.chunk', choices, ...field };
  return `data: ${stringifyWith(body, { [USAGE_SLOT]: usageText(usage ?? null) })}\n\n`;
}

export function delta(content: object, finishReason: string | null = null, index = 0): object {
  return { index, delta: content, logprobs: null, finish_reason: finishReason };
}

/** The body of an answer that is not streamed. */
export function completion(
  head: AnswerHead,
  message: { content: string | null; tool_calls?: ToolCall[]; reasoning_content?: string },
  finishReason: string | null,
  { usage, choices: count }: ChunkUsage & { choices: number },
): string {
  const field = usage === undefined ? {} : { usage: USAGE_SLOT };
  const choices = Array.from({ length: count }, (_, index) => ({
    index,
    message: { role: 'assistant', ...message, refusal: null },
    logprobs: null,
    finish_reason: finishReason,
  }));
  const body = { ...head, object: 'chat.completion', choices, ...field };
  return stringifyWith(body, { [USAGE_SLOT]: usageText(usage ?? null) });
}

/** The error object of the OpenAI API. */
export function errorBody(status: number, message: string): { error: object } {
  const { type, code } = ERROR_KINDS[status] ?? { type: 'server_error', code: null };
  return { error: { message, type, param: null, code } };
}

export function toolCall(name: string, args: object): ToolCall {
  return { id: `call_${randomId()}`, type: 'function', function: { name, arguments: JSON.stringify(args) } };
}

export function randomId(): string {
  return randomBytes(12).toString('hex');
}

function usageText(claim: Claim | null): string {
  if (!claim) return 'null';
  const { input, output, total, cached, reasoning } = claim;
  return (
    `{"prompt_tokens":${input},"completion_tokens":${output},"total_tokens":${total},` +
    `"prompt_tokens_details":{"cached_tokens":${cached},"audio_tokens":0},` +
    `"completion_tokens_details":{"reasoning_tokens":${reasoning},"audio_tokens":0,` +
    '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
  );
}
