import { AppError } from '@tollgate/http-kit';
import type { UpstreamPart } from '../../domain/answer.ts';
import { fieldsOf, listOf, usagePart } from '../upstream/reported-usage.ts';
import { parseJson } from '../upstream/upstream-call.ts';

const DONE = '[DONE]';

/** Reads the chunks of one chat completion (OpenAI API, "Chat completion chunk object"). */
export class OpenAiReader {
  #hasFinished = false;
  #isDone = false;
  #hasBegun = false;

  /** Whether the model has said that it is done, or the server that the stream is. */
  get isComplete(): boolean {
    return this.#hasFinished || this.#isDone;
  }

  /** Nothing more is to come. */
  get isOver(): boolean {
    return this.#isDone;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** @throws AppError UPSTREAM_FAILED for an error in place of a chunk, UPSTREAM_PROTOCOL_ERROR for what is no JSON. */
  read(data: string): UpstreamPart[] {
    if (data.trim() === DONE) {
      this.#isDone = true;
      return [];
    }
    const chunk = fieldsOf(parseJson(data));
    if (chunk.error)
      throw new AppError('UPSTREAM_FAILED', `error in the stream: ${JSON.stringify(chunk.error).slice(0, 500)}`);
    const parts = listOf(chunk.choices)
      .slice(0, 1)
      .flatMap((choice) => this.#readChoice(fieldsOf(choice)));
    if (chunk.usage !== undefined && chunk.usage !== null) parts.push(usageOf(fieldsOf(chunk.usage)));
    return parts;
  }

  #readChoice({ delta, finish_reason: finish }: Readonly<Record<string, unknown>>): UpstreamPart[] {
    const { content, refusal, reasoning_content: reasoning, reasoning: otherReasoning } = fieldsOf(delta);
    if (typeof finish === 'string' && finish !== '') this.#hasFinished = true;
    const parts: UpstreamPart[] = [];
    for (const thought of [reasoning, otherReasoning])
      if (isText(thought)) parts.push({ kind: 'thinking', text: thought });
    for (const text of [content, refusal]) if (isText(text)) parts.push({ kind: 'text', text });
    if (parts.length > 0) this.#hasBegun = true;
    return parts;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function usageOf(usage: Readonly<Record<string, unknown>>): UpstreamPart {
  const cached = fieldsOf(usage.prompt_tokens_details).cached_tokens;
  return usagePart(usage.prompt_tokens, usage.completion_tokens, cached, usage);
}
