import type { AnswerEvent, MessageStatus, ReportedUsage, UpstreamPart } from './answer.ts';

const MOST_EVENTS = 100;
const LONGEST_EVENTS = 262_144;
/** Characters of an answer that go into the history; the client gets all of it. */
const LONGEST_KEPT_TEXT = 4_000_000;
/** Rough size of a token, for upstreams that do not count: credits.md, Outcome policy, "metered". */
const BYTES_PER_TOKEN = 4;
/** Pieces of at most this size on average are tokens one by one; longer ones are several in one. */
const BYTES_PER_PIECE = 8;

export const tokensOfBytes = (bytes: number): number => Math.ceil(bytes / BYTES_PER_TOKEN);

export interface MeteredTokens {
  readonly input: number;
  readonly cacheRead: number;
  readonly output: number;
  readonly source: 'provider' | 'estimated';
}

export interface ReplyOptions {
  /** Bytes of everything the model is sent that we know of. */
  readonly promptBytes: number;
  /** Whether text and events are kept for the history. */
  readonly keeps: boolean;
}

/** One answer while it is produced: what was said, how much, and how it ended. */
export class Reply {
  /** `aborted` until something else is known: a client that leaves runs only the `finally`. */
  status: MessageStatus = 'aborted';
  readonly promptBytes: number;
  readonly #keeps: boolean;
  readonly #texts: string[] = [];
  readonly #events: AnswerEvent[] = [];
  #messageId: string | undefined;
  #keptCharacters = 0;
  #eventCharacters = 0;
  #began = false;
  #deltas = 0;
  #bytes = 0;
  #usage: ReportedUsage | undefined;
  /** What the meter showed when usage was last reported. */
  #meteredAtUsage = 0;
  #badUsage = false;
  #isUnattended = false;

  constructor({ promptBytes, keeps }: ReplyOptions) {
    this.promptBytes = promptBytes;
    this.#keeps = keeps;
  }

  /** Counts a part. True for the very first one. */
  add(part: UpstreamPart): boolean {
    const isFirst = !this.#began;
    this.#began = true;
    this.#count(generatedIn(part));
    if (part.kind === 'text' || part.kind === 'chunk') this.#keepText(part.text);
    else if (part.kind === 'thinking') this.#keepEvent({ event: 'thinking', data: part.text });
    else if (part.kind === 'event') {
      this.#keepEvent(part.event);
      this.#messageId = part.messageId ?? this.#messageId;
    } else if (part.kind === 'usage') {
      this.#usage = part.usage;
      this.#meteredAtUsage = this.meteredOutput;
    } else if (part.kind === 'bad-usage') this.#badUsage = true;
    else if (part.kind === 'unattended') this.#isUnattended = true;
    return isFirst;
  }

  /** The upstream's own name of the answer. */
  get upstreamMessageId(): string | undefined {
    return this.#messageId;
  }

  get hasBegun(): boolean {
    return this.#began;
  }

  get hasOutput(): boolean {
    return this.#deltas > 0;
  }

  /** Pieces of text that arrived: no model makes more pieces than tokens. */
  get deltas(): number {
    return this.#deltas;
  }

  /** Output tokens by our own count, while nobody else has told. */
  get meteredOutput(): number {
    return this.#bytes <= BYTES_PER_PIECE * this.#deltas ? this.#deltas : tokensOfBytes(this.#bytes);
  }

  get text(): string {
    return this.#texts.join('');
  }

  get events(): readonly AnswerEvent[] {
    return this.#events;
  }

  get rawUsage(): unknown {
    return this.#usage?.raw;
  }

  /** The upstream goes on with it. */
  get isUnattended(): boolean {
    return this.#isUnattended;
  }

  /** Of the upstream's count: thoughts before the answer, contained in its output. */
  get reasoningTokens(): number | undefined {
    return this.#usage?.reasoning;
  }

  get hasBadUsage(): boolean {
    return this.#badUsage;
  }

  get hasReportedUsage(): boolean {
    return this.#usage !== undefined;
  }

  /**
   * The tokens to charge: the upstream's count, plus what came after it when the answer broke off; else our own count.
   * What we have only estimated stops at `mostEstimated`.
   */
  tokens(mostEstimated = Number.POSITIVE_INFINITY): MeteredTokens {
    const usage = this.#usage;
    if (!usage) {
      const output = Math.min(this.meteredOutput, mostEstimated);
      return { input: tokensOfBytes(this.promptBytes), cacheRead: 0, output, source: 'estimated' };
    }
    const since = this.status === 'completed' ? 0 : Math.max(0, this.meteredOutput - this.#meteredAtUsage);
    return {
      input: usage.input,
      cacheRead: usage.cacheRead,
      output: Math.max(usage.output, Math.min(usage.output + since, mostEstimated)),
      source: since === 0 ? 'provider' : 'estimated',
    };
  }

  #count(text: string): void {
    if (text === '') return;
    this.#deltas += 1;
    this.#bytes += Buffer.byteLength(text);
  }

  #keepText(text: string): void {
    if (!this.#keeps || this.#keptCharacters >= LONGEST_KEPT_TEXT) return;
    const kept = text.slice(0, LONGEST_KEPT_TEXT - this.#keptCharacters);
    this.#texts.push(kept);
    this.#keptCharacters += kept.length;
  }

  #keepEvent(event: AnswerEvent): void {
    if (!this.#keeps || this.#events.length >= MOST_EVENTS) return;
    const last = this.#events.at(-1);
    const goesOn = event.event === 'thinking' && last?.event === 'thinking';
    this.#eventCharacters += JSON.stringify(goesOn ? event.data : event).length;
    if (this.#eventCharacters > LONGEST_EVENTS) return;
    if (goesOn) this.#events[this.#events.length - 1] = { ...last, data: String(last.data) + String(event.data) };
    else this.#events.push(event);
  }
}

/** What of a part is charged. */
function generatedIn(part: UpstreamPart): string {
  if (part.kind === 'chunk') return part.generated;
  return part.kind === 'text' || part.kind === 'thinking' ? part.text : '';
}
