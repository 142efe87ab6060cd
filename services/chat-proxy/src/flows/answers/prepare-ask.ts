import { AppError } from '@tollgate/http-kit';
import { type Chatflow, isFlow, originAllowed, refusedOverrides } from '../../domain/chatflow.ts';
import type { Completion } from '../../domain/completion.ts';
import type { FlowInput } from '../../domain/flow-input.ts';
import type { Turn } from '../../domain/conversation.ts';
import type { EarlierUpload, InlineUpload } from '../../domain/file-rules.ts';
import type { ChatflowId, SessionId } from '../../domain/wire-types.ts';

/** A chat request as every kind of route puts it. */
export interface Ask {
  readonly question: string;
  readonly chatflowId: ChatflowId;
  /** As the client wrote it; empty for a new conversation. */
  readonly sessionId?: string | null | undefined;
  /** The id was made for this question, and nobody else has been told of it. */
  readonly opensSession?: boolean;
  /** Another id by which the client looks for the conversation later. */
  readonly sessionAlias?: SessionId | undefined;
  readonly history: readonly Turn[];
  /** Judged by the flow of files. */
  readonly uploads: readonly (InlineUpload | EarlierUpload)[];
  readonly overrides: Readonly<Record<string, unknown>>;
  /** The page that the request comes from, by its Origin header. */
  readonly origin?: string | undefined;
  /** Whether both messages go into the history. */
  readonly stores: boolean;
  /** The client brings the whole conversation each time: none is looked up, opened or kept here. */
  readonly isStateless?: boolean;
  /** Present when the client speaks OpenAI's language; `question`, `history` and `uploads` then say the same for a flow. */
  readonly completion?: Completion;
  /** Of the client's request; what of them a server is sent is the operator's choice. */
  readonly clientHeaders?: Readonly<Record<string, string>>;
  /** What only a flow of Flowise understands: the fields of its form, or how it goes on. */
  readonly flowInput?: FlowInput;
  /** Repeats of the request with this key get the first one's answer. */
  readonly idempotencyKey?: string | undefined;
  /** Seconds that the answer shall go on without its client, who means to come back for the rest. */
  readonly keepRunningSeconds?: number | undefined;
}

export interface PreparedAsk {
  readonly question: string;
  readonly overrides: Readonly<Record<string, unknown>>;
  /** Output tokens the client wants at most. */
  readonly wantedOutput: number | undefined;
  /** Answers to the same question, side by side. */
  readonly choices: number;
}

/** Refuses what the chatflow does not allow, before anything is reserved. */
export function prepare(chatflow: Chatflow, ask: Ask): PreparedAsk {
  const { question, overrides: asked, flowInput, completion } = ask;
  if (!originAllowed(chatflow, ask.origin)) throw new AppError('ORIGIN_NOT_ALLOWED');
  const { overrides, wantedOutput } = withoutLimit(chatflow, asked);
  if (flowInput && !isFlow(chatflow)) {
    throw new AppError('VALIDATION_FAILED', 'This chatflow takes questions only, no form and no decision');
  }
  const refused = refusedOverrides(chatflow, overrides);
  if (refused.length > 0) {
    throw new AppError('VALIDATION_FAILED', `This chatflow does not allow overrideConfig ${refused.join(', ')}`, {
      errors: refused.map((name) => ({ path: `overrideConfig.${name}`, message: 'is not allowed for this chatflow' })),
    });
  }
  const choices = isFlow(chatflow) ? 1 : (completion?.choices ?? 1);
  return { question, overrides, wantedOutput, choices };
}

/** How clients of OpenAI's API call the longest answer they want. */
const LIMITS: ReadonlySet<string> = new Set(['max_tokens', 'max_completion_tokens']);
const isLimit = (value: unknown): boolean => Number.isInteger(value) && Number(value) > 0;

/** A model's limit is ours to send; a client may only lower it, which nobody has to allow. */
function withoutLimit(chatflow: Chatflow, asked: Ask['overrides']): Pick<PreparedAsk, 'overrides' | 'wantedOutput'> {
  if (isFlow(chatflow)) return { overrides: asked, wantedOutput: undefined };
  const limits = Object.entries(asked).filter(([name]) => LIMITS.has(name));
  const errors = limits
    .filter(([, value]) => !isLimit(value))
    .map(([name]) => ({ path: `overrideConfig.${name}`, message: 'must be a whole number of 1 or more' }));
  if (errors.length > 0) throw new AppError('VALIDATION_FAILED', undefined, { errors });
  const overrides = Object.fromEntries(Object.entries(asked).filter(([name]) => !LIMITS.has(name)));
  return {
    overrides,
    wantedOutput: limits.length > 0 ? Math.min(...limits.map(([, value]) => Number(value))) : undefined,
  };
}
