import type { UpstreamPart } from '../domain/answer.ts';
import type { Chatflow, UploadRules, UpstreamName } from '../domain/chatflow.ts';
import type { Completion } from '../domain/completion.ts';
import type { Turn } from '../domain/conversation.ts';
import type { FlowInput } from '../domain/flow-input.ts';
import type { CheckedUpload } from '../domain/file-rules.ts';
import type { ChatflowConfig, ChatflowId } from '../domain/wire-types.ts';

/** Everything an upstream is told. */
export interface Prompt {
  readonly question: string;
  readonly history: readonly Turn[];
  readonly uploads: readonly CheckedUpload[];
  readonly overrides: Readonly<Record<string, unknown>>;
  /** Goes to a model in place of question and history. */
  readonly completion?: Completion;
  readonly flowInput?: FlowInput;
  /** The conversation as the upstream knows it; none of them is ours or the client's. */
  readonly upstreamChatId: string;
  readonly upstreamMemoryId: string;
}

export interface Upstream {
  /**
   * Yields until the answer is complete. Throws an AppError UPSTREAM_* (or RATE_LIMITED) on failure and the signal's reason
   * when it aborts; leaving the iteration early stops the upstream.
   */
  answer(chatflow: Chatflow, prompt: Prompt, maxOutput: number, signal: AbortSignal): AsyncIterable<UpstreamPart>;
  /** Absent where there are no models. Throws as `answer` does. */
  embed?(chatflow: Chatflow, wanted: EmbeddingRequest, signal: AbortSignal): Promise<Embeddings>;
}

/** What is to become vectors, checked and bounded. */
export interface EmbeddingRequest {
  readonly input: unknown;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Vectors that must come back. */
  readonly count: number;
}

export interface Embeddings {
  /** In the order of the input: numbers, or base64 where that was asked for. */
  readonly vectors: readonly (readonly number[] | string)[];
  /** Usage as the upstream reported it, or that it cannot be believed; undefined when it reported none. */
  readonly usage: UpstreamPart | undefined;
}

/** A chatflow as it was found at its upstream. */
export type FoundChatflow = Readonly<{
  id: ChatflowId;
  upstream: UpstreamName;
  model: string;
  name: string;
  description: string | null;
  category: string | null;
  type: string;
  deployed: boolean;
  isPublic: boolean;
  config: ChatflowConfig | null;
  uploads: UploadRules;
  createdAt: Date | null;
  updatedAt: Date | null;
}>;

export interface Catalogue {
  readonly upstream: UpstreamName;
  list(): Promise<FoundChatflow[]>;
}
