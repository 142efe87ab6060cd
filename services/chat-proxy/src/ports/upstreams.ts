import type { UpstreamPart } from '../domain/answer.ts';
import type { Chatflow, UploadRules, UpstreamKind } from '../domain/chatflow.ts';
import type { Completion } from '../domain/completion.ts';
import type { Turn } from '../domain/conversation.ts';
import type { FlowInput } from '../domain/flow-input.ts';
import type { CheckedUpload } from '../domain/file-rules.ts';
import type { ChatflowConfig, ChatflowId, HoldId } from '../domain/wire-types.ts';

/** Everything an upstream is told. */
export interface Prompt {
  readonly question: string;
  readonly history: readonly Turn[];
  readonly uploads: readonly CheckedUpload[];
  readonly overrides: Readonly<Record<string, unknown>>;
  /** Goes to a model in place of question and history. */
  readonly completion?: Completion | undefined;
  readonly flowInput?: FlowInput | undefined;
  /** The conversation as the upstream knows it; none of them is ours or the client's. */
  readonly upstreamChatId: string;
  readonly upstreamMemoryId: string;
  /** The same for every attempt to get this answer. */
  readonly requestId: HoldId;
  /** Of the client's request; a server is sent those that the operator has named. */
  readonly clientHeaders?: Readonly<Record<string, string>> | undefined;
}

export interface Upstream {
  /**
   * Yields what came together, until the answer is complete. Throws an AppError UPSTREAM_* (or RATE_LIMITED) on failure and the signal's reason
   * when it aborts; leaving the iteration early stops the upstream.
   */
  answer(
    chatflow: Chatflow,
    prompt: Prompt,
    maxOutput: number,
    signal: AbortSignal,
  ): AsyncIterable<readonly UpstreamPart[]>;
  /** Absent where there are no models. Throws as `answer` does. */
  embed?(chatflow: Chatflow, wanted: EmbeddingRequest, signal: AbortSignal): Promise<Embeddings>;
}

/** What is to become vectors, checked and bounded. */
export interface EmbeddingRequest extends Pick<Prompt, 'requestId' | 'clientHeaders'> {
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

/** One AI server of the configuration. */
export interface UpstreamServer extends Upstream {
  readonly name: string;
  readonly kind: UpstreamKind;
  /** Milliseconds for which it is not worth asking, because it has failed too often; 0 when it is. */
  waitMs(): number;
  /** Whether another server may be asked after this failure: nothing of an answer had come, and the server was to blame. */
  isReplaceable(error: unknown): boolean;
}

/** A chatflow as it was found at its upstream. */
export type FoundChatflow = Readonly<{
  id: ChatflowId;
  upstream: string;
  kind: UpstreamKind;
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
  readonly upstream: string;
  list(): Promise<FoundChatflow[]>;
}

/** A flow and the server it is at. */
export type FlowAt = Pick<Chatflow, 'id' | 'upstream'>;

export interface SideFile {
  readonly name: string;
  readonly mime: string;
  readonly bytes: Uint8Array;
}

/** A file whose text Flowise has taken out, to be sent with a question as an upload of type `file:full`. */
export interface Attachment {
  readonly name: string;
  readonly mimeType: string;
  readonly size: number;
  readonly content: string;
}

/** As Flowise knows answer and conversation, never as the client does. */
export interface UpstreamMessage {
  readonly chatId: string;
  readonly messageId: string;
}

export type SpeechEvent =
  | { readonly event: 'tts_start'; readonly format: string }
  /** Base64 of the next piece. */
  | { readonly event: 'tts_data'; readonly audioChunk: string }
  | { readonly event: 'tts_end' };

/**
 * What a chat window asks of Flowise beside answers. Ids are those that the upstream knows. Every answer is bounded and stripped;
 * failures are an AppError UPSTREAM_* (or RATE_LIMITED), whatever Flowise says of them.
 */
export interface FlowiseSide {
  attachments(flow: FlowAt, chatId: string, files: readonly SideFile[]): Promise<Attachment[]>;
  /** Feeds the flow's document store. Gives the counts Flowise tells (`numAdded`, `numDeleted`, …). */
  upsert(
    flow: FlowAt,
    input: { readonly files: readonly SideFile[]; readonly fields: Readonly<Record<string, unknown>> },
  ): Promise<Readonly<Record<string, number>>>;
  /** Gives Flowise's id of the feedback, for `changeFeedback`. */
  feedback(
    flow: FlowAt,
    given: UpstreamMessage & { readonly rating: 'THUMBS_UP' | 'THUMBS_DOWN'; readonly content?: string },
  ): Promise<string>;
  changeFeedback(
    flow: FlowAt,
    feedbackId: string,
    given: { readonly rating?: 'THUMBS_UP' | 'THUMBS_DOWN'; readonly content?: string },
  ): Promise<void>;
  lead(
    flow: FlowAt,
    lead: { readonly chatId: string; readonly name?: string; readonly email?: string; readonly phone?: string },
  ): Promise<void>;
  /** Ends early when the signal aborts. */
  textToSpeech(
    flow: FlowAt,
    speech: UpstreamMessage & { readonly text: string },
    signal: AbortSignal,
  ): AsyncIterable<SpeechEvent>;
  /** NOT_FOUND when there is none. Its type is for the reader to tell, by its bytes. */
  uploadedFile(flow: FlowAt, chatId: string, fileName: string): Promise<Uint8Array>;
}
