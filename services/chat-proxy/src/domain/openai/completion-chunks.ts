import type { AnswerEvent } from '../answer.ts';
import type { ModelChoice, ModelChunk, ModelDelta } from '../completion.ts';

/** One chunk as clients read it (OpenAI API, "Chat completion chunk object"). */
export interface CompletionChunk extends ModelChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly usage?: CompletionCost | null;
}

/** Tokens as OpenAI counts them, and what they cost. */
export interface CompletionCost {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
  readonly credits: number;
  readonly remaining_credits: number;
  readonly estimated: boolean;
  readonly clamped_to?: number;
}

export interface ChunkOptions {
  /** As the client named it. */
  readonly model: string;
  /** Whether the chunks tell the usage: the last one with its figures, the others with null. */
  readonly tellsUsage: boolean;
}

/** The events of one answer, of a model or of a flow, as chunks with our id and the name the client knows. */
export class CompletionChunks {
  readonly #options: ChunkOptions;
  readonly #finished = new Map<number, boolean>();
  #head = { id: 'chatcmpl-', object: 'chat.completion.chunk' as const, created: 0 };

  constructor(options: ChunkOptions) {
    this.#options = options;
  }

  /** The chunks for one event; most of what a flow tells about itself has no place in them. */
  of(event: AnswerEvent): CompletionChunk[] {
    if (event.event === 'chunk') return [this.#passOn(event.data as ModelChunk)]; // as the flow makes it
    if (event.event === 'token') return [this.#said({ content: String(event.data) })];
    if (event.event === 'thinking') return [this.#said({ reasoning_content: String(event.data) })];
    if (event.event === 'usage') return [...this.#endings(), ...this.#usage(event.data as UsageEvent)]; // likewise
    if (event.event === 'session_id') this.#open(event);
    return [];
  }

  #open({ request_id: id, timestamp }: AnswerEvent): void {
    const created = Math.floor(Date.parse(String(timestamp)) / 1000);
    this.#head = { ...this.#head, id: `chatcmpl-${String(id)}`, created };
  }

  #passOn(chunk: ModelChunk): CompletionChunk {
    const choices = chunk.choices.map((choice) => {
      const isFirst = !this.#finished.has(choice.index);
      this.#finished.set(choice.index, this.#finished.get(choice.index) === true || choice.finish_reason !== null);
      return isFirst ? { ...choice, delta: { role: 'assistant' as const, ...choice.delta } } : choice;
    });
    return this.#chunk(choices, chunk.service_tier);
  }

  #said(delta: ModelDelta): CompletionChunk {
    return this.#passOn({ choices: [{ index: 0, delta, finish_reason: null }] });
  }

  /** An upstream may leave out what every client waits for. */
  #endings(): CompletionChunk[] {
    if (this.#finished.size === 0) this.#finished.set(0, false);
    const open = [...this.#finished].filter(([, isFinished]) => !isFinished);
    return open.map(([index]) => {
      this.#finished.set(index, true);
      return this.#chunk([{ index, delta: {}, finish_reason: 'stop' }]);
    });
  }

  #usage(usage: UsageEvent): CompletionChunk[] {
    return this.#options.tellsUsage ? [{ ...this.#chunk([]), usage: costOf(usage) }] : [];
  }

  #chunk(choices: readonly ModelChoice[], tier?: string): CompletionChunk {
    const { model, tellsUsage } = this.#options;
    return {
      ...this.#head,
      model,
      choices,
      ...(tier !== undefined && { service_tier: tier }),
      ...(tellsUsage && { usage: null }),
    };
  }
}

/** The event that tells what an answer cost, as far as it is read here. */
export interface UsageEvent {
  readonly credits: number;
  readonly remaining_credits: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cached_tokens?: number;
  readonly reasoning_tokens?: number;
  readonly estimated: boolean;
  readonly clamped_to?: number;
}

const costOf = (usage: UsageEvent): CompletionCost => ({
  prompt_tokens: usage.input_tokens,
  completion_tokens: usage.output_tokens,
  total_tokens: usage.input_tokens + usage.output_tokens,
  prompt_tokens_details: { cached_tokens: usage.cached_tokens ?? 0 },
  completion_tokens_details: { reasoning_tokens: usage.reasoning_tokens ?? 0 },
  credits: usage.credits,
  remaining_credits: usage.remaining_credits,
  estimated: usage.estimated,
  ...(usage.clamped_to !== undefined && { clamped_to: usage.clamped_to }),
});
