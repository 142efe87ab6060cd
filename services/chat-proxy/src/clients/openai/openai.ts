import { ChatflowId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { type Connections, connectionsOf } from '@tollgate/http-kit/client';
import type { UpstreamPart } from '../../domain/answer.ts';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { Catalogue, EmbeddingRequest, Embeddings, FoundChatflow, Prompt, Upstream } from '../../ports.ts';
import { readEmbeddings } from './openai-embeddings.ts';
import { OpenAiReader } from './openai-events.ts';
import { refusalOf } from './openai-refusal.ts';
import { partsOfRead } from '../upstream/parts-of-read.ts';
import { fieldsOf } from '../upstream/reported-usage.ts';
import { agentFor, headersFor, ownHeaders, type ServerOptions } from '../upstream/connection.ts';
import { UpstreamCall, type UpstreamRequest } from '../upstream/upstream-call.ts';

/** `baseUrl` with or without `/v1` at the end. */
export interface OpenAiOptions extends ServerOptions {
  /** Offered to users; empty: what the server lists. */
  readonly models: readonly string[];
  /** Offered besides: names whose answers come from this server first. */
  readonly routed: readonly string[];
  /** Whether the models are for everybody, until an administrator says otherwise. */
  readonly isPublic: boolean;
  /** Newer models of OpenAI want `max_completion_tokens`; other servers know only `max_tokens`. */
  readonly limitField: 'max_tokens' | 'max_completion_tokens';
}

const MODEL_PREFIX = 'model:';
/** Sampling parameters an administrator may allow users to set; model, limits and messages are never among them. */
const SAMPLING = ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty', 'stop', 'seed'] as const;
const LIST_TIMEOUT_MS = 30_000;

export interface OpenAi extends Upstream, Catalogue {
  connections(): Connections;
  close(): Promise<void>;
}

/** A server with the chat completions of OpenAI's API. */
export function openAi(options: OpenAiOptions): OpenAi {
  const agent = agentFor(options);
  const base = /\/v\d+$/.test(options.baseUrl) ? options.baseUrl : `${options.baseUrl}/v1`;
  const headers = ownHeaders(options);

  async function* answer(
    chatflow: Chatflow,
    prompt: Prompt,
    maxOutput: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly UpstreamPart[], void, undefined> {
    const { completion } = prompt;
    const choices = completion?.choices ?? 1;
    const call = new UpstreamCall({
      agent,
      url: `${base}/chat/completions`,
      method: 'POST',
      headers: { ...headersFor(prompt, options), accept: 'text/event-stream' },
      body: bodyOf(chatflow, prompt, { [options.limitField]: maxOutput }),
      signal,
      timeouts: options.timeouts,
      turns: options.turns,
    });
    const reader = new OpenAiReader({ choices, passesOn: completion !== undefined });
    let isComplete = false;
    try {
      const { contentType } = await call.open();
      if (contentType === 'application/json') yield reader.readWhole(await call.json());
      else if (contentType === 'text/event-stream') yield* partsOf(call, reader);
      else throw new AppError('UPSTREAM_PROTOCOL_ERROR', `answered ${contentType}`);
      if (!reader.isComplete) throw call.unfinished();
      isComplete = true;
    } catch (error) {
      throw completion ? refusalOf(error) : error;
    } finally {
      if (!isComplete && reader.hasBegun) options.abandoned(chatflow.id);
      call.close(reader.isOver);
    }
  }

  const embed: Required<Upstream>['embed'] = (chatflow, wanted, signal) => {
    const body = { ...wanted.parameters, model: chatflow.model, input: wanted.input };
    const { timeouts } = options;
    const to = { agent, url: `${base}/embeddings`, headers: headersFor(wanted, options) };
    return vectorsOf(new UpstreamCall({ ...to, method: 'POST', body, signal, timeouts }), wanted);
  };

  async function list(): Promise<FoundChatflow[]> {
    const own = options.models.length > 0 ? options.models : await listedAt(`${base}/models`, { agent, headers });
    return [...new Set([...own, ...options.routed])].flatMap((model) => {
      const id = ChatflowId.safeParse(MODEL_PREFIX + model);
      return id.success ? [foundModel(id.data, model, options)] : [];
    });
  }

  return {
    upstream: options.name,
    answer,
    embed,
    list,
    connections: () => connectionsOf(agent),
    close: () => agent.destroy(),
  };
}

async function vectorsOf(call: UpstreamCall, wanted: EmbeddingRequest): Promise<Embeddings> {
  let isComplete = false;
  try {
    await call.open();
    const embeddings = readEmbeddings(await call.json(), wanted);
    isComplete = true;
    return embeddings;
  } catch (error) {
    throw refusalOf(error);
  } finally {
    call.close(isComplete);
  }
}

async function listedAt(url: string, how: Pick<UpstreamRequest, 'agent' | 'headers'>): Promise<string[]> {
  const { signal } = new AbortController();
  const timeouts = { firstByteMs: LIST_TIMEOUT_MS, idleMs: LIST_TIMEOUT_MS, totalMs: LIST_TIMEOUT_MS };
  const call = new UpstreamCall({ ...how, url, method: 'GET', signal, timeouts });
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

async function* partsOf(
  call: UpstreamCall,
  reader: OpenAiReader,
): AsyncGenerator<readonly UpstreamPart[], void, undefined> {
  try {
    for await (const events of call.events(() => reader.hasBegun)) {
      for (const parts of partsOfRead(events, (event) => reader.read(event))) yield parts;
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
  const { completion } = prompt;
  const asked = completion?.messages ?? [
    ...prompt.history.map(({ role, content }) => ({ role, content })),
    { role: 'user', content: questionOf(prompt) },
  ];
  return {
    ...(completion ? completion.parameters : sampling(prompt.overrides)),
    model,
    messages: [...(systemPrompt ? [{ role: 'system', content: systemPrompt }] : []), ...asked],
    n: completion?.choices ?? 1,
    stream: true,
    stream_options: { include_usage: true },
    ...limit,
  };
}

/** With the pictures that belong to it (OpenAI API, "Images and vision"). */
const questionOf = ({ question, uploads }: Prompt): unknown =>
  uploads.length === 0
    ? question
    : [
        { type: 'text', text: question },
        ...uploads.map(({ dataUrl }) => ({ type: 'image_url', image_url: { url: dataUrl } })),
      ];

const sampling = (overrides: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries(SAMPLING.flatMap((name) => (Object.hasOwn(overrides, name) ? [[name, overrides[name]]] : [])));

const foundModel = (id: ChatflowId, model: string, { name: upstream, isPublic }: OpenAiOptions): FoundChatflow => ({
  id,
  upstream,
  kind: 'openai',
  model,
  name: model,
  description: null,
  category: null,
  type: 'MODEL',
  deployed: true,
  isPublic,
  config: null,
  // Which models see, no list says; one that does not refuses the picture before it answers.
  uploads: { images: true, files: false, audio: false },
  createdAt: null,
  updatedAt: null,
});
