import type { ModelChoice, ToolCallDelta } from '../completion.ts';
import type { CompletionChunk, CompletionCost } from './completion-chunks.ts';

/** Characters of an answer in one piece; longer ones are for streams. */
const LONGEST_ANSWER = 4_000_000;

interface Call {
  id: string;
  readonly type: string;
  name: string;
  input: string;
  extra: unknown;
}

interface Choice {
  content: string | null;
  refusal: string | null;
  reasoning: string;
  readonly calls: Map<number, Call>;
  readonly annotations: unknown[];
  readonly logprobs: { content: unknown[] | null; refusal: unknown[] | null };
  hasLogprobs: boolean;
  finish: string;
}

/** Puts the chunks of one answer together again (OpenAI API, "Chat completion object"), however they were cut. */
export class WholeCompletion {
  readonly #choices = new Map<number, Choice>();
  #head: Pick<CompletionChunk, 'id' | 'created' | 'model'> | undefined;
  #tier: string | undefined;
  #usage: CompletionCost | undefined;
  #characters = 0;

  /** False when the answer is too long for one piece. */
  add({ id, created, model, choices, service_tier: tier, usage }: CompletionChunk): boolean {
    this.#head = { id, created, model };
    this.#tier = tier ?? this.#tier;
    this.#usage = usage ?? this.#usage;
    for (const choice of choices) this.#addTo(this.#choice(choice.index), choice);
    return this.#characters <= LONGEST_ANSWER;
  }

  /** Undefined when no usage came: then the answer was not complete. */
  get usage(): CompletionCost | undefined {
    return this.#usage;
  }

  toJSON() {
    return {
      ...this.#head,
      object: 'chat.completion' as const,
      choices: [...this.#choices]
        .sort(([one], [other]) => one - other)
        .map(([index, choice]) => choiceOf(index, choice)),
      ...(this.#tier !== undefined && { service_tier: this.#tier }),
      usage: this.#usage,
    };
  }

  #choice(index: number): Choice {
    const known = this.#choices.get(index);
    if (known) return known;
    const choice: Choice = {
      content: null,
      refusal: null,
      reasoning: '',
      calls: new Map(),
      annotations: [],
      logprobs: { content: null, refusal: null },
      hasLogprobs: false,
      finish: 'stop',
    };
    this.#choices.set(index, choice);
    return choice;
  }

  #addTo(choice: Choice, { delta, logprobs, finish_reason: finish }: ModelChoice): void {
    const { content, refusal, reasoning_content: reasoning, tool_calls: calls, annotations } = delta;
    if (content !== undefined) choice.content = (choice.content ?? '') + this.#counted(content);
    if (refusal !== undefined) choice.refusal = (choice.refusal ?? '') + this.#counted(refusal);
    if (reasoning !== undefined) choice.reasoning += this.#counted(reasoning);
    for (const call of calls ?? []) this.#addCall(choice.calls, call);
    if (annotations) choice.annotations.push(...annotations);
    if (logprobs) addLogprobs(choice, logprobs);
    if (finish !== null) choice.finish = finish;
  }

  #addCall(calls: Map<number, Call>, { index, id = '', extra_content: extra, ...delta }: ToolCallDelta): void {
    const { type, name, input } = calledIn(delta);
    const call = calls.get(index) ?? { id, type, name: '', input: '', extra };
    calls.set(index, call);
    call.id ||= id;
    call.name += name;
    call.input += this.#counted(input);
    call.extra ??= extra;
  }

  #counted(text: string): string {
    this.#characters += text.length;
    return text;
  }
}

/** The first piece of a call says of which kind it is; functions need not say so. */
function calledIn({ type, function: called, custom }: Omit<ToolCallDelta, 'index'>) {
  if (custom) return { type: 'custom', name: custom.name ?? '', input: custom.input ?? '' };
  return { type: type ?? 'function', name: called?.name ?? '', input: called?.arguments ?? '' };
}

function addLogprobs(choice: Choice, logprobs: Readonly<Record<string, unknown>>): void {
  choice.hasLogprobs = true;
  for (const kind of ['content', 'refusal'] as const) {
    const list = logprobs[kind];
    if (!Array.isArray(list)) continue;
    choice.logprobs[kind] ??= [];
    choice.logprobs[kind].push(...list);
  }
}

const choiceOf = (index: number, choice: Choice) => ({
  index,
  message: {
    role: 'assistant' as const,
    content: choice.content === '' && choice.calls.size > 0 ? null : choice.content,
    refusal: choice.refusal,
    ...(choice.reasoning !== '' && { reasoning_content: choice.reasoning }),
    ...(choice.calls.size > 0 && {
      tool_calls: [...choice.calls].sort(([one], [other]) => one - other).map(([, call]) => callOf(call)),
    }),
    ...(choice.annotations.length > 0 && { annotations: choice.annotations }),
  },
  logprobs: choice.hasLogprobs ? choice.logprobs : null,
  finish_reason: choice.finish,
});

const callOf = ({ id, type, name, input, extra }: Call) => ({
  id,
  type,
  ...(type === 'custom' ? { custom: { name, input } } : { function: { name, arguments: input } }),
  ...(extra !== undefined && { extra_content: extra }),
});
