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
