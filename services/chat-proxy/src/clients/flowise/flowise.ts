import { AppError } from '@tollgate/http-kit';
import { type Connections, connectionsOf } from '@tollgate/http-kit/client';
import type { UpstreamPart } from '../../domain/answer.ts';
import { reportsUsage } from '../../domain/price.ts';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { Catalogue, Prompt, Upstream } from '../../ports.ts';
import { foundFlows } from './flowise-catalogue.ts';
import { FlowiseReader, partsOfJson } from './flowise-events.ts';
import { flowiseSideCalls, type SideCalls } from './flowise-side-calls.ts';
import { flowiseSide } from './flowise-side.ts';
import { uploadsFor } from './flowise-uploads.ts';
import { partsOfRead } from '../upstream/parts-of-read.ts';
import { fieldsOf, listOf } from '../upstream/reported-usage.ts';
import { agentFor, headersFor, type ServerOptions } from '../upstream/connection.ts';
import { UpstreamCall } from '../upstream/upstream-call.ts';
import { UpstreamError } from '../upstream/upstream-error.ts';

const LIST_TIMEOUT_MS = 30_000;
/** Until a flow that has just been started can be stopped: it is not known to Flowise before. */
const ABORT_AGAIN_MS = 1000;

export interface FlowiseOptions extends ServerOptions {
  /** Silence after a piece of text at which the answer of a chain counts as whole. */
  readonly endingMs: number;
}

export interface Flowise extends Upstream, Catalogue {
  connections(): Connections;
  /** Deletes what Flowise remembers of a conversation. */
  forget(flowId: string, chatId: string): Promise<void>;
  readonly side: SideCalls;
  close(): Promise<void>;
}

/** A Flowise server (3.x); what it is known to do wrong is in flowise-wire.md, T-F1 to T-F15. */
export function flowise(options: FlowiseOptions): Flowise {
  const agent = agentFor(options);
  const side = flowiseSideCalls(options);

  async function* answer(
    chatflow: Chatflow,
    prompt: Prompt,
    _maxOutput: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly UpstreamPart[], void, undefined> {
    const flow = { id: flowIdOf(chatflow) as Chatflow['id'], upstream: options.name };
    const to = () => ({ side: flowiseSide(() => side), flow, chatId: prompt.upstreamChatId, signal });
    const uploads = prompt.uploads.length > 0 ? await uploadsFor(prompt.uploads, to()) : [];
    const call = new UpstreamCall({
      agent,
      url: `${options.baseUrl}/api/v1/prediction/${encodeURIComponent(flowIdOf(chatflow))}`,
      method: 'POST',
      headers: headersFor(prompt, options),
      body: bodyOf(prompt, uploads),
      signal,
      timeouts: options.timeouts,
      turns: options.turns,
    });
    const reader = new FlowiseReader();
    const endingMs = reportsUsage(chatflow) ? undefined : options.endingMs;
    let isComplete = false;
    try {
      const { contentType } = await call.open();
      if (contentType === 'application/json') yield partsOfJson(await call.json());
      else if (contentType === 'text/event-stream')
        yield* streamedParts(call, reader, {
          endingMs,
          lastResort: () => storedText(side, { chatflow, prompt, reader }),
        });
      // Flowise answers unknown paths with its own page and status 200.
      else throw new AppError('UPSTREAM_PROTOCOL_ERROR', `answered ${contentType}`);
      isComplete = true;
    } finally {
      call.close(isComplete && !reader.isUnattended);
      if (!isComplete) stopRun(chatflow, prompt, reader.hasBegun);
    }
  }

  /** Closing the socket does not stop an agent flow; only this call does, and its answer says nothing. */
  function stopRun(chatflow: Chatflow, prompt: Prompt, hadBegun: boolean): void {
    if (hadBegun) options.abandoned(chatflow.id);
    const path = `chatmessage/abort/${encodeURIComponent(flowIdOf(chatflow))}/${encodeURIComponent(prompt.upstreamChatId)}`;
    const stop = () => void side.ask('PUT', { path }).catch(() => undefined);
    stop();
    if (!hadBegun) setTimeout(stop, ABORT_AGAIN_MS).unref();
  }

  return {
    upstream: options.name,
    answer,
    side,
    list: async () => foundFlows(await side.ask('GET', { path: 'chatflows', limitMs: LIST_TIMEOUT_MS }), options.name),
    forget: async (flowId, chatId) => {
      const query = new URLSearchParams({ chatId });
      await side.ask('DELETE', { path: `chatmessage/${encodeURIComponent(flowId)}?${query.toString()}` });
    },
    connections: () => connectionsOf(agent),
    close: async () => void (await Promise.all([agent.destroy(), side.close()])),
  };
}

interface Ending {
  readonly endingMs: number | undefined;
  readonly lastResort: () => Promise<string>;
}

async function* streamedParts(
  call: UpstreamCall,
  reader: FlowiseReader,
  { endingMs, lastResort }: Ending,
): AsyncGenerator<readonly UpstreamPart[], void, undefined> {
  // A chain may be silent for minutes after its last token, and says nothing that anybody waits for then.
  const mayBeWhole = () => endingMs !== undefined && reader.endsInText;
  try {
    for await (const events of call.events(
      () => reader.hasBegun,
      () => (mayBeWhole() ? endingMs : undefined),
    )) {
      for (const parts of partsOfRead(events, (event) => reader.read(event))) yield parts;
      if (reader.isOver) break;
    }
  } catch (error) {
    if (mayBeWhole() && isSilence(error)) return yield reader.leaveUnattended();
    // Metadata says that the answer is whole; what happened to the stream afterwards does not matter.
    if (!reader.isComplete || !isOfUpstream(error)) throw error;
  }
  if (!reader.isComplete) throw call.unfinished();
  if (!reader.hasText) yield reader.text(reader.lastNodeText() || (await lastResort()));
  yield reader.rest();
}

const isSilence = (error: unknown): boolean => error instanceof UpstreamError && error.code === 'UPSTREAM_TIMEOUT';
const isOfUpstream = (error: unknown): boolean => error instanceof AppError && error.code.startsWith('UPSTREAM_');

/** The text of an answer that came without tokens, from Flowise's own store (T-F4). */
async function storedText(
  side: SideCalls,
  { chatflow, prompt, reader }: { chatflow: Chatflow; prompt: Prompt; reader: FlowiseReader },
): Promise<string> {
  if (reader.messageId === undefined) return '';
  const query = new URLSearchParams({ chatId: prompt.upstreamChatId, order: 'DESC' });
  const path = `chatmessage/${encodeURIComponent(flowIdOf(chatflow))}?${query.toString()}`;
  const rows = await side.ask('GET', { path }).catch(() => []);
  const row = listOf(rows)
    .map(fieldsOf)
    .find(({ id }) => id === reader.messageId);
  return typeof row?.content === 'string' ? row.content : '';
}

const flowIdOf = ({ id, flowId }: Chatflow): string => flowId ?? id;

function bodyOf(prompt: Prompt, uploads: readonly object[]): object {
  const { question, history, overrides, upstreamChatId, upstreamMemoryId, flowInput } = prompt;
  return {
    // A flow that begins with a form takes the form alone.
    ...(flowInput?.form === undefined && { question }),
    ...flowInput,
    streaming: true,
    chatId: upstreamChatId,
    overrideConfig: { ...overrides, sessionId: upstreamMemoryId },
    ...(history.length > 0 && {
      history: history.map(({ role, content }) => ({ role: role === 'user' ? 'userMessage' : 'apiMessage', content })),
    }),
    ...(uploads.length > 0 && { uploads }),
  };
}
