import { ChatflowId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { Agent } from 'undici';
import type { UpstreamPart } from '../../domain/answer.ts';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { Catalogue, FoundChatflow, Prompt, Upstream } from '../../ports.ts';
import { OpenAiReader } from './openai-events.ts';
import { fieldsOf } from '../upstream/reported-usage.ts';
import { UpstreamCall, type UpstreamTimeouts } from '../upstream/upstream-call.ts';

export interface OpenAiOptions {
  /** With or without `/v1` at the end. */
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  /** Offered to users; empty: what the server lists. */
  readonly models: readonly string[];
  /** Whether the models are for everybody, until an administrator says otherwise. */
  readonly isPublic: boolean;
  /** Newer models of OpenAI want `max_completion_tokens`; other servers know only `max_tokens`. */
  readonly limitField: 'max_tokens' | 'max_completion_tokens';
  readonly connections: number;
  readonly connectMs: number;
  readonly timeouts: UpstreamTimeouts;
  /** Told when an answer was left before its end. */
  readonly abandoned: (chatflowId: string) => void;
}

const MODEL_PREFIX = 'model:';
/** Sampling parameters an administrator may allow users to set; model, limits and messages are never among them. */
const SAMPLING = ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty', 'stop', 'seed'] as const;
const LIST_TIMEOUT_MS = 30_000;

export interface OpenAi extends Upstream, Catalogue {
  close(): Promise<void>;
}

/** A server with the chat completions of OpenAI's API. */
export function openAi(options: OpenAiOptions): OpenAi {
  const agent = new Agent({ connections: options.connections, connect: { timeout: options.connectMs }, pipelining: 1 });
  const base = /\/v\d+$/.test(options.baseUrl) ? options.baseUrl : `${options.baseUrl}/v1`;
  const headers = { ...(options.apiKey !== undefined && { authorization: `Bearer ${options.apiKey}` }) };

  async function* answer(
    chatflow: Chatflow,
    prompt: Prompt,
    maxOutput: number,
    signal: AbortSignal,
  ): AsyncGenerator<UpstreamPart, void, undefined> {
    const call = new UpstreamCall({
      agent,
      url: `${base}/chat/completions`,
      method: 'POST',
      headers: { ...headers, accept: 'text/event-stream' },
      body: bodyOf(chatflow, prompt, { [options.limitField]: maxOutput }),
      signal,
      timeouts: options.timeouts,
    });
    const reader = new OpenAiReader();
    let isComplete = false;
    try {
      const { contentType } = await call.open();
      if (contentType !== 'text/event-stream') throw new AppError('UPSTREAM_PROTOCOL_ERROR', `answered ${contentType}`);
      yield* partsOf(call, reader);
      if (!reader.isComplete) throw call.unfinished();
      isComplete = true;
    } finally {
      if (!isComplete && reader.hasBegun) options.abandoned(chatflow.id);
      call.close(reader.isOver);
    }
  }

  async function list(): Promise<FoundChatflow[]> {
    const names = options.models.length > 0 ? options.models : await listModels();
    return names.flatMap((model) => {
      const id = ChatflowId.safeParse(MODEL_PREFIX + model);
      return id.success ? [foundModel(id.data, model, options.isPublic)] : [];
    });
  }

  async function listModels(): Promise<string[]> {
    const { signal } = new AbortController();
    const timeouts = { firstByteMs: LIST_TIMEOUT_MS, idleMs: LIST_TIMEOUT_MS, totalMs: LIST_TIMEOUT_MS };
    const call = new UpstreamCall({ agent, url: `${base}/models`, method: 'GET', headers, signal, timeouts });
    let isComplete = false;
    try {
      await call.open();
      const { data } = fieldsOf(await call.json());
      if (!Array.isArray(data)) throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the list of models is no list');
      isComplete = true;
      return data.flatMap((model) => (typeof fieldsOf(model).id === 'string' ? [String(fieldsOf(model).id)] : []));
    } finally {
      call.close(isComplete);
    }
  }

  return { upstream: 'openai', answer, list, close: () => agent.destroy() };
}

async function* partsOf(call: UpstreamCall, reader: OpenAiReader): AsyncGenerator<UpstreamPart, void, undefined> {
  try {
    for await (const events of call.events(() => reader.hasBegun)) {
      for (const data of events) yield* reader.read(data);
      if (reader.isOver) return;
    }
  } catch (error) {
    // The model had said that it is done: whatever happened to the rest of the stream, the answer is whole.
    const isOurs = error instanceof AppError && error.code.startsWith('UPSTREAM_');
    if (!isOurs || !reader.isComplete) throw error;
  }
}

function bodyOf(chatflow: Chatflow, prompt: Prompt, limit: Readonly<Record<string, number>>): object {
  const { systemPrompt, model } = chatflow;
  return {
    ...sampling(prompt.overrides),
    model,
    messages: [
      ...(systemPrompt ? [{ role: 'system', content: systemPrompt }] : []),
      ...prompt.history.map(({ role, content }) => ({ role, content })),
      { role: 'user', content: prompt.question },
    ],
    n: 1,
    stream: true,
    stream_options: { include_usage: true },
    ...limit,
  };
}

const sampling = (overrides: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries(SAMPLING.flatMap((name) => (Object.hasOwn(overrides, name) ? [[name, overrides[name]]] : [])));

const foundModel = (id: ChatflowId, model: string, isPublic: boolean): FoundChatflow => ({
  id,
  upstream: 'openai',
  model,
  name: model,
  description: null,
  category: null,
  type: 'MODEL',
  deployed: true,
  isPublic,
  config: null,
  uploads: { images: false, files: false, audio: false },
  createdAt: null,
  updatedAt: null,
});
