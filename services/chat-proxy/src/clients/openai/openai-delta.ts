import type { ModelChoice, ModelDelta, ToolCallDelta } from '../../domain/completion.ts';
import { fieldsOf } from '../upstream/reported-usage.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Answers and calls of one answer, as many as a request may ask for. */
const MOST = 128;
const LONGEST_NAME = 256;

/** What an upstream says in one choice of a chunk, stripped to what clients know; nothing else of it goes on. */
export function choiceOf(index: number, choice: Fields, calls: CallPlaces): ModelChoice {
  const delta = deltaOf(fieldsOf(choice.delta), calls);
  const logprobs = logprobsOf(choice.logprobs);
  const finish = isText(choice.finish_reason) ? choice.finish_reason.slice(0, LONGEST_NAME) : null;
  return logprobs ? { index, delta, logprobs, finish_reason: finish } : { index, delta, finish_reason: finish };
}

/** Everything in it that the model made and is paid for. */
export function generatedIn({ delta }: ModelChoice): string {
  const { content = '', refusal = '', reasoning_content: reasoning = '', tool_calls: calls } = delta;
  return reasoning + content + refusal + (calls?.map(textOfCall).join('') ?? '');
}

/** Whether it says nothing, and only opens the answer. */
export const isEmpty = (choice: ModelChoice): boolean =>
  choice.finish_reason === null && Object.keys(choice.delta).length === 0;

const textOfCall = ({ function: called, custom }: ToolCallDelta): string =>
  [called?.name, called?.arguments, custom?.name, custom?.input].filter((text) => text !== undefined).join('');

/** Field by field: most chunks have one, and this is done for every one of them. */
function deltaOf(delta: Fields, calls: CallPlaces): ModelDelta {
  const { content, refusal, reasoning_content: thoughts, reasoning, tool_calls: called, annotations } = delta;
  const said: { -readonly [Name in keyof ModelDelta]: ModelDelta[Name] } = {};
  // Some servers write the same thoughts under both names.
  if (isText(thoughts)) said.reasoning_content = thoughts;
  else if (isText(reasoning)) said.reasoning_content = reasoning;
  if (isText(content)) said.content = content;
  if (isText(refusal)) said.refusal = refusal;
  if (isFilled(called)) said.tool_calls = called.slice(0, MOST).map((call) => calls.place(fieldsOf(call)));
  if (isFilled(annotations)) said.annotations = annotations.slice(0, MOST);
  return said;
}

/** Where each call of an answer stands. Servers that leave the index out name a call only by its id. */
export class CallPlaces {
  #last = -1;
  #lastId: string | undefined;

  place(call: Fields): ToolCallDelta {
    const { id, type } = call;
    const isNew = isText(id) && id !== this.#lastId;
    const index = placeOf(call.index) ?? Math.min(MOST - 1, Math.max(0, this.#last + (isNew ? 1 : 0)));
    this.#last = index;
    if (isText(id)) this.#lastId = id;
    const [called, custom] = [fieldsOf(call.function), fieldsOf(call.custom)];
    return {
      index,
      ...(isText(id) && { id: id.slice(0, LONGEST_NAME) }),
      ...(isText(type) && { type: type.slice(0, LONGEST_NAME) }),
      ...(call.function !== undefined && { function: texts({ name: called.name, arguments: called.arguments }) }),
      ...(call.custom !== undefined && { custom: texts({ name: custom.name, input: custom.input }) }),
      ...(call.extra_content !== undefined && { extra_content: call.extra_content }),
    };
  }
}

/** Only the log probabilities of tokens; what else a server puts there is its own affair. */
function logprobsOf(value: unknown): Fields | undefined {
  const { content, refusal } = fieldsOf(value);
  if (!Array.isArray(content) && !Array.isArray(refusal)) return undefined;
  return { content: Array.isArray(content) ? content : null, refusal: Array.isArray(refusal) ? refusal : null };
}

const texts = (fields: Fields): Record<string, string> =>
  Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));

export const placeOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < MOST ? value : undefined;

const isFilled = (value: unknown): value is readonly unknown[] => Array.isArray(value) && value.length > 0;

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
