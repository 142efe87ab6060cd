import { AppError } from '@tollgate/http-kit';
import type { UpstreamPart } from '../../domain/answer.ts';
import type { ModelChoice } from '../../domain/completion.ts';
import { fieldsOf, listOf, usagePart } from '../upstream/reported-usage.ts';
import { parseJson } from '../upstream/upstream-call.ts';
import { codesOf, quoting } from '../upstream/upstream-error.ts';
import { CallPlaces, choiceOf, generatedIn, isEmpty, placeOf } from './openai-delta.ts';

type Fields = Readonly<Record<string, unknown>>;

const DONE = '[DONE]';
const MOST_CHOICES = 128;

export interface OpenAiReaderOptions {
  /** Answers that were asked for. */
  readonly choices: number;
  /** Yields chunks for a client that speaks the same language, in place of text and thoughts. */
  readonly passesOn: boolean;
}

/** Reads the chunks of one chat completion (OpenAI API, "Chat completion chunk object"). */
export class OpenAiReader {
  readonly #options: OpenAiReaderOptions;
  readonly #calls = new Map<number, CallPlaces>();
  readonly #finished = new Set<number>();
  #isDone = false;
  #hasBegun = false;

  constructor(options: OpenAiReaderOptions = { choices: 1, passesOn: false }) {
    this.#options = options;
  }

  /** Whether the model has said that it is done, or the server that the stream is. */
  get isComplete(): boolean {
    return this.#finished.size >= this.#options.choices || this.#isDone;
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
    return this.#readChunk(fieldsOf(parseJson(data)));
  }

  /** An answer in one piece, from a server that does not stream. */
  readWhole(value: unknown): UpstreamPart[] {
    const whole = fieldsOf(value);
    const choices = listOf(whole.choices).map((choice) => ({ ...fieldsOf(choice), delta: fieldsOf(choice).message }));
    if (choices.length === 0 && !whole.error)
      throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the answer has no choices');
    const parts = this.#readChunk({ ...whole, choices });
    this.#isDone = true;
    return parts;
  }

  #readChunk(chunk: Fields): UpstreamPart[] {
    if (chunk.error) throw failure(chunk.error);
    const choices = listOf(chunk.choices)
      .slice(0, MOST_CHOICES)
      .map((choice) => this.#readChoice(fieldsOf(choice)));
    const parts = this.#options.passesOn ? passedOn(choices, chunk) : choices.slice(0, 1).flatMap(spokenIn);
    if (parts.length > 0) this.#hasBegun = true;
    if (chunk.usage !== undefined && chunk.usage !== null) parts.push(usageOf(fieldsOf(chunk.usage)));
    return parts;
  }

  #readChoice(fields: Fields): ModelChoice {
    const index = placeOf(fields.index) ?? 0;
    let calls = this.#calls.get(index);
    if (!calls) this.#calls.set(index, (calls = new CallPlaces()));
    const choice = choiceOf(index, fields, calls);
    if (choice.finish_reason !== null) this.#finished.add(choice.index);
    return choice;
  }
}

function failure(error: unknown): AppError {
  const what = `the stream holds an error${codesOf(error)}`;
  return new AppError('UPSTREAM_FAILED', what, { cause: quoting(what, JSON.stringify(error)) });
}

/**
 * The opening chunk, which only names the role, is not passed on: until the model has said something, a failure is still a
 * status, and every client gets the role with the first word.
 */
function passedOn(choices: readonly ModelChoice[], { service_tier: tier }: Fields): UpstreamPart[] {
  const saying = choices.filter((choice) => !isEmpty(choice));
  if (saying.length === 0) return [];
  const chunk = typeof tier === 'string' ? { choices: saying, service_tier: tier.slice(0, 64) } : { choices: saying };
  let [generated, text] = ['', ''];
  for (const choice of saying) {
    generated += generatedIn(choice);
    text += choice.delta.content ?? '';
  }
  return [{ kind: 'chunk', chunk, generated, text }];
}

function spokenIn({ delta }: ModelChoice): UpstreamPart[] {
  const { reasoning_content: thought, content, refusal } = delta;
  const parts: UpstreamPart[] = thought === undefined ? [] : [{ kind: 'thinking', text: thought }];
  for (const text of [content, refusal]) if (text !== undefined) parts.push({ kind: 'text', text });
  return parts;
}

function usageOf(usage: Fields): UpstreamPart {
  const cached = fieldsOf(usage.prompt_tokens_details).cached_tokens;
  const part = usagePart(usage.prompt_tokens, usage.completion_tokens, cached, usage);
  const thought = fieldsOf(usage.completion_tokens_details).reasoning_tokens;
  if (part.kind !== 'usage' || typeof thought !== 'number' || !(thought >= 0)) return part;
  // Contained in the output, whatever a server says.
  return { ...part, usage: { ...part.usage, reasoning: Math.min(Math.floor(thought), part.usage.output) } };
}
