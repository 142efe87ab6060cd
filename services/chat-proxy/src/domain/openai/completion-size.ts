import type { chat } from '@tollgate/contracts';
import { promptBytes } from '../price.ts';

type Message = chat.CompletionMessage;

/** Tokens that what is not text may come to. */
export interface MediaBounds {
  readonly imageTokens: number;
  readonly fileTokens: number;
}

/** Parameters that a model reads like text. */
const READ_PARAMETERS = ['tools', 'tool_choice', 'response_format', 'prediction'];

/** Upper bound of the input in tokens: a byte of text for each, and a fixed sum for every image, recording and file. */
export function inputBytesOf(
  messages: readonly Message[],
  parameters: Readonly<Record<string, unknown>>,
  bounds: MediaBounds,
): number {
  const read = READ_PARAMETERS.flatMap((name) =>
    parameters[name] === undefined ? [] : [JSON.stringify(parameters[name])],
  );
  const media = messages.reduce((sum, message) => sum + mediaTokens(message, bounds), 0);
  return promptBytes([...messages.map(textOf), ...read]) + media;
}

/** Everything of a message that is read as text. */
function textOf(message: Message): string {
  const texts = [message.name ?? '', ...textsOf(message.content)];
  if (message.role === 'tool') texts.push(message.tool_call_id);
  if (message.role === 'assistant') {
    texts.push(message.refusal ?? '', message.reasoning_content ?? '');
    if (message.tool_calls) texts.push(JSON.stringify(message.tool_calls));
  }
  return texts.join('');
}

function textsOf(content: Message['content']): string[] {
  if (typeof content === 'string') return [content];
  return (content ?? []).map((part) => {
    if (part.type === 'text') return part.text;
    return part.type === 'refusal' ? part.refusal : '';
  });
}

function mediaTokens({ content }: Message, { imageTokens, fileTokens }: MediaBounds): number {
  if (typeof content !== 'object' || content === null) return 0;
  const tokens = { text: 0, refusal: 0, image_url: imageTokens, input_audio: fileTokens, file: fileTokens };
  return content.reduce((sum, { type }) => sum + tokens[type], 0);
}
