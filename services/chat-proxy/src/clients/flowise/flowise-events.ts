import { AppError } from '@tollgate/http-kit';
import type { AnswerEvent, UpstreamPart } from '../../domain/answer.ts';
import { shownEvent } from './flowise-shown.ts';
import { fieldsOf, listOf, usagePart } from '../upstream/reported-usage.ts';
import { parseJson } from '../upstream/upstream-call.ts';
import { quoting } from '../upstream/upstream-error.ts';

/** Events that only say that something goes on. They wait for the first one that is part of the answer, because a flow may still fail (T-F1). */
const PROGRESS = new Set(['start', 'agentFlowEvent', 'nextAgentFlow', 'nextAgent', 'tool', 'calledTools']);
const MOST_WAITING = 200;

/** Reads the events of one prediction: flowise-wire.md, SSE wire format. */
export class FlowiseReader {
  #waiting: UpstreamPart[] = [];
  #hasBegun = false;
  #hasText = false;
  #hasMetadata = false;
  #isOver = false;
  #eventUsages: unknown[] = [];
  #executed: unknown;
  #endsInText = false;
  #isUnattended = false;
  #messageId: string | undefined;

  /** The answer's id in Flowise's own store. */
  get messageId(): string | undefined {
    return this.#messageId;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get hasText(): boolean {
    return this.#hasText;
  }

  /** Whether the last thing that came was a piece of the answer. */
  get endsInText(): boolean {
    return this.#endsInText;
  }

  /** `end` alone does not mean success; only metadata before it does. */
  get isComplete(): boolean {
    return this.#hasMetadata;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** @throws AppError UPSTREAM_FAILED for an error event, UPSTREAM_PROTOCOL_ERROR for what is no JSON. */
  read(data: string): UpstreamPart[] {
    if (data.trim() === '[DONE]') return [];
    const { event, data: content } = fieldsOf(parseJson(data));
    this.#endsInText = isPiece(event, content);
    switch (event) {
      case 'token':
        return this.#text('text', content);
      case 'thinking':
        return this.#text('thinking', content);
      case 'usageMetadata':
        this.#eventUsages.push(content);
        return this.#usage();
      case 'agentFlowExecutedData':
        // Cumulative, and full of prompts and credentials: read for its figures, never passed on.
        this.#executed = content;
        return this.#usage();
      case 'error':
        throw failure('the stream holds an error event', content);
      case 'abort':
        throw new AppError('UPSTREAM_INTERRUPTED', 'aborted at the upstream');
      case 'end':
        this.#isOver = true;
        return [];
      case 'metadata':
        this.#hasMetadata = true;
        this.#messageId = idIn(content);
        break;
    }
    const shown = typeof event === 'string' ? shownEvent(event, content) : undefined;
    return shown ? this.#event(shown) : [];
  }

  /** Flowise goes on with an answer that is whole for its reader: its place in the conversation stays taken for a while. */
  get isUnattended(): boolean {
    return this.#isUnattended;
  }

  leaveUnattended(): UpstreamPart[] {
    this.#isUnattended = true;
    return [{ kind: 'unattended' }, { kind: 'event', event: { event: 'metadata', data: {} } }];
  }

  /** Parts that were waiting for a beginning that never came. */
  rest(): UpstreamPart[] {
    return this.#begin([]);
  }

  /** A flow may answer without a single token; then its last node knows the text (T-F4). */
  lastNodeText(): string {
    const outputs = listOf(this.#executed).map((node) => fieldsOf(fieldsOf(fieldsOf(node).data).output).content);
    const text = outputs.findLast((content) => typeof content === 'string' && content !== '');
    return typeof text === 'string' ? text : '';
  }

  /** The text of an answer that did not come as tokens. */
  text(text: string): UpstreamPart[] {
    return this.#text('text', text);
  }

  #text(kind: 'text' | 'thinking', content: unknown): UpstreamPart[] {
    if (typeof content !== 'string' || content === '') return [];
    if (kind === 'text') this.#hasText = true;
    return this.#begin([{ kind, text: content }]);
  }

  #event(event: AnswerEvent): UpstreamPart[] {
    const part: UpstreamPart = {
      kind: 'event',
      event,
      ...(event.event === 'metadata' && { messageId: this.#messageId }),
    };
    // Metadata waits as well: a text that is fetched afterwards belongs before it.
    const waits = PROGRESS.has(event.event) || event.event === 'metadata';
    return waits && !this.#hasBegun ? this.#wait(part) : this.#begin([part]);
  }

  #usage(): UpstreamPart[] {
    const part = usageOfNodes(this.#executed) ?? usageOfEvents(this.#eventUsages);
    if (!part) return [];
    return this.#hasBegun ? [part] : this.#wait(part);
  }

  #wait(part: UpstreamPart): UpstreamPart[] {
    if (this.#waiting.length < MOST_WAITING) this.#waiting.push(part);
    return [];
  }

  #begin(parts: UpstreamPart[]): UpstreamPart[] {
    this.#hasBegun = true;
    if (this.#waiting.length === 0) return parts;
    // A text comes before metadata that has been waiting for it.
    const [before, after] = [this.#waiting.filter((part) => !isMetadata(part)), this.#waiting.filter(isMetadata)];
    this.#waiting = [];
    return [...before, ...parts, ...after];
  }
}

const failure = (what: string, words: unknown): AppError =>
  new AppError('UPSTREAM_FAILED', what, { cause: quoting(what, String(words)) });

const isPiece = (event: unknown, content: unknown): boolean => event === 'token' && content !== '';

function idIn(metadata: unknown): string | undefined {
  const { chatMessageId } = fieldsOf(metadata);
  return typeof chatMessageId === 'string' ? chatMessageId : undefined;
}

const isMetadata = (part: UpstreamPart): boolean => part.kind === 'event' && part.event.event === 'metadata';

/** The answer of a flow that does not stream, as the parts a stream would have had (T-F3). */
export function partsOfJson(body: unknown): UpstreamPart[] {
  const answer = fieldsOf(body);
  const text =
    typeof answer.text === 'string' ? answer.text : answer.json === undefined ? '' : JSON.stringify(answer.json);
  if (answer.success === false) throw failure('the answer is an error', answer.message);
  const reader = new FlowiseReader();
  const events = [
    'usedTools',
    'sourceDocuments',
    'fileAnnotations',
    'artifacts',
    'agentReasoning',
    'action',
    'agentFlowExecutedData',
  ];
  const frames: [string, unknown][] = [
    ...events.flatMap((event): [string, unknown][] => (answer[event] === undefined ? [] : [[event, answer[event]]])),
    ['token', text],
    ['metadata', answer],
  ];
  const parts = frames.flatMap(([event, data]) => reader.read(JSON.stringify({ event, data })));
  return [...parts, ...reader.rest()];
}

/** Sums the nodes; undefined when none reports anything. */
function usageOfNodes(executed: unknown): UpstreamPart | undefined {
  const usages = listOf(executed)
    .map((node) => fieldsOf(fieldsOf(fieldsOf(node).data).output).usageMetadata)
    .filter((usage) => usage !== undefined && usage !== null);
  return sumOf(usages.map(fieldsOf));
}

const usageOfEvents = (usages: readonly unknown[]): UpstreamPart | undefined =>
  sumOf(usages.filter((usage) => usage !== null && usage !== undefined).map(fieldsOf));

function sumOf(usages: readonly Readonly<Record<string, unknown>>[]): UpstreamPart | undefined {
  let sum: { input: number; output: number; cached: number } | undefined;
  for (const usage of usages) {
    const part = usagePart(
      usage.input_tokens,
      usage.output_tokens,
      fieldsOf(usage.input_token_details).cache_read,
      undefined,
    );
    if (part.kind !== 'usage') return part;
    const { input, cacheRead, output } = part.usage;
    const all = allTokens(usage, input + cacheRead + output);
    if (all === undefined) return { kind: 'bad-usage' };
    // A node with tools names only its last call in `input` and `output`; what is missing was read again, not written.
    const more = Math.max(0, all - (input + cacheRead + output));
    sum = {
      input: (sum?.input ?? 0) + input + cacheRead + more,
      output: (sum?.output ?? 0) + output,
      cached: (sum?.cached ?? 0) + cacheRead,
    };
  }
  return sum && usagePart(sum.input, sum.output, sum.cached, sum);
}

/** `tool_call_tokens`, when above 0, is the true sum of all calls; `total_tokens` then counts the last call twice. */
function allTokens(usage: Readonly<Record<string, unknown>>, sum: number): number | undefined {
  const { tool_call_tokens: tools } = usage;
  if (tools === undefined || tools === null || tools === 0) return sum;
  return typeof tools === 'number' && Number.isInteger(tools) && tools > 0 ? tools : undefined;
}
