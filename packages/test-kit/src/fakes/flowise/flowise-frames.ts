import { type Claim, stringifyWith } from '../claimed-usage.ts';

// The framing of Flowise: a field that parsers skip, the kind of event inside the JSON, no space after `data:`.
export const HEARTBEAT = ':heartbeat\n\n';
export const BROKEN_FRAME = 'message:\ndata:{"event":"token","data":"never\n\n';
export const UNKNOWN_FRAME = frame('mystery', { value: 1 });
export const END_FRAME = frame('end', '[DONE]');

const USAGE_SLOT = ' usage ';

/** One event of a Flowise stream. */
export function frame(event: string, data: unknown): string {
  return `message:\ndata:${JSON.stringify({ event, data })}\n\n`;
}

/** The same for data in which `usageSlot()` stands for a usage object, given as JSON text. */
export function frameWithUsage(event: string, data: unknown, usage: string): string {
  return `message:\ndata:${jsonWithUsage({ event, data }, usage)}\n\n`;
}

/** JSON in which `usageSlot()` is replaced by the usage. */
export function jsonWithUsage(value: unknown, usage: string): string {
  return stringifyWith(value, { [USAGE_SLOT]: usage });
}

/** Stands for the usage object until the event is written. */
export function usageSlot(): string {
  return USAGE_SLOT;
}

/** The error body of Flowise's middleware. */
export function errorBody(status: number, message: string): object {
  return { statusCode: status, success: false, message, stack: {} };
}

/** How Flowise prefixes what goes wrong while a flow runs. */
export function flowError(message: string): string {
  return `Error: predictionsServices.buildChatflow - ${message}`;
}

/** A usage object as JSON text; only executed nodes carry `tool_call_tokens`. */
export function usageJson(claim: Claim | null, toolCallTokens?: number): string {
  if (!claim) return 'null';
  const { input, output, total, cached, reasoning } = claim;
  const tool = toolCallTokens === undefined ? '' : `,"tool_call_tokens":${toolCallTokens}`;
  return (
    `{"input_tokens":${input},"output_tokens":${output},"total_tokens":${total},` +
    `"input_token_details":{"audio":0,"cache_read":${cached}},` +
    `"output_token_details":{"audio":0,"reasoning":${reasoning}}${tool}}`
  );
}
