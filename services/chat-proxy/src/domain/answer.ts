import type { ModelChunk } from './completion.ts';

/** Token counts as an upstream reported them, in the disjoint classes that prices name. */
export interface ReportedUsage {
  readonly input: number;
  readonly cacheRead: number;
  readonly output: number;
  /** What of the output were thoughts before the answer, when the upstream tells. */
  readonly reasoning?: number;
  /** The upstream's own object, kept for disputes; small and of plain JSON, else undefined. */
  readonly raw: unknown;
}

/** What an upstream adapter yields. Its normal end is success; a failure is thrown. */
export type UpstreamPart =
  | { readonly kind: 'text'; readonly text: string }
  /** Produced and charged like text, but no part of the answer itself. */
  | { readonly kind: 'thinking'; readonly text: string }
  /**
   * What a model sent to a client that speaks its language. `generated` is all that is charged in it (text, thoughts, the
   * arguments of tool calls), `text` the part of it that is the answer.
   */
  | { readonly kind: 'chunk'; readonly chunk: ModelChunk; readonly generated: string; readonly text: string }
  /** Already stripped to what a user may see. */
  | {
      readonly kind: 'event';
      readonly event: AnswerEvent /** The upstream's own name of the answer. */;
      readonly messageId?: string | undefined;
    }
  /** A running total: each one replaces the one before. */
  | { readonly kind: 'usage'; readonly usage: ReportedUsage }
  /** The answer is whole, but its upstream goes on with it: what is asked next must not meet it there. */
  | { readonly kind: 'unattended' }
  /** Usage was reported but cannot be believed. */
  | { readonly kind: 'bad-usage' };

/** One event of an answer in Flowise's vocabulary; every kind of route translates from it. */
export interface AnswerEvent {
  readonly event: string;
  readonly data: unknown;
  readonly [field: string]: unknown;
}

/** An answer as it goes to its client: what came together stays together on its way. */
export type Answer = AsyncGenerator<readonly AnswerEvent[], void, undefined>;

export const MESSAGE_STATUSES = ['completed', 'failed', 'aborted'] as const;
export type MessageStatus = (typeof MESSAGE_STATUSES)[number];
