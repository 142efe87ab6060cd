import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type Answerer, countTokens, echo } from './answers.ts';
import { type CallLog, type CallWatch, createCallLog, type RecordedCall, watchOf } from './call-log.ts';
import { type Clock, systemClock } from '../clock.ts';
import { claimedUsage } from './claimed-usage.ts';
import { type Exchange, openExchange } from './exchange.ts';
import { type Handler, listen, sendJson, type Visit } from './fake-server.ts';
import { answerChat, type ChatBody, lastQuestion } from './openai-chat.ts';
import { errorBody } from './openai-frames.ts';
import { createFailureCount, type FailureCount, playInstead } from './playback.ts';
import { type Scenario, ScenarioError } from './scenario.ts';
import { createScenarioQueue, type ScenarioControl, type ScenarioQueue } from './scenario-queue.ts';
import { createStopSignal } from '../waiting.ts';

export type FakeOpenAiOptions = {
  /** 0 or absent: chosen by the system. */
  port?: number;
  /** Played for every call that has no scenario of its own. */
  scenario?: Scenario;
  /** When given, calls without this Bearer token are refused with 401. */
  apiKey?: string;
  /** Listed at `/v1/models`; any model name is answered. */
  models?: readonly string[];
  /** Writes the answers; the default repeats the question. */
  answerer?: Answerer;
  clock?: Clock;
  /** How many calls are remembered. */
  keep?: number;
};

/** A fake without a socket: `handler` serves paths under `/v1`. */
export type OpenAiService = CallWatch & ScenarioControl & { handler: Handler; reset(): void; stop(): void };

export type FakeOpenAi = Omit<OpenAiService, 'handler' | 'stop'> & {
  /** Base URL that ends in `/v1`. */
  readonly url: string;
  readonly port: number;
  /** Cuts every connection and timer, and rejects what tests still wait for. */
  stop(): Promise<void>;
};

const DEFAULT_MODELS = ['fake-small', 'fake-large'];
const GENERATING = new Set(['POST /v1/chat/completions', 'POST /v1/embeddings']);
const DEFAULT_KEEP = 20_000;
const EMBEDDING_SIZE = 8;
const MODEL_CREATED_SECONDS = 1_700_000_000;

/** An OpenAI-compatible upstream on a real socket at 127.0.0.1, driven by scenarios. */
export async function startFakeOpenAi(options: FakeOpenAiOptions = {}): Promise<FakeOpenAi> {
  const { handler, stop, ...service } = createOpenAiService(options);
  const server = await listen(handler, options.port);
  return Object.assign(service, {
    url: `${server.origin}/v1`,
    port: server.port,
    async stop() {
      stop();
      await server.close();
    },
  });
}

/** The same fake as a request handler, to share a port with others. */
export function createOpenAiService(options: FakeOpenAiOptions = {}): OpenAiService {
  const { models = DEFAULT_MODELS, apiKey } = options;
  const stopping = createStopSignal();
  const context: Context = {
    clock: options.clock ?? systemClock,
    answerer: options.answerer ?? echo,
    log: createCallLog<RecordedCall>('the fake OpenAI', options.keep ?? DEFAULT_KEEP),
    scenarios: createScenarioQueue(options.scenario),
    failures: createFailureCount(),
    stop: stopping.signal,
  };
  const { log, scenarios, failures } = context;

  async function handler(visit: Visit, res: ServerResponse): Promise<void> {
    const mayEnter = apiKey === undefined || visit.headers.authorization === `Bearer ${apiKey}`;
    const route = `${visit.method} ${visit.path}`;
    if (mayEnter && GENERATING.has(route)) return generate(context, visit, res);
    log.addOther(recordOf(context, visit, undefined));
    if (!mayEnter) return sendJson(res, 401, errorBody(401, 'Incorrect API key provided.'));
    if (route === 'GET /v1/models') return sendJson(res, 200, { object: 'list', data: models.map(modelRow) });
    sendJson(res, 404, { error: { ...errorBody(404, `Unknown request URL: ${route}`).error, code: 'unknown_url' } });
  }

  return {
    ...watchOf(log),
    ...scenarios.control,
    handler,
    reset() {
      log.reset();
      scenarios.reset();
      failures.reset();
    },
    stop() {
      stopping.abort(new Error('the fake was stopped'));
      log.stop();
    },
  };
}

type Context = {
  clock: Clock;
  answerer: Answerer;
  log: CallLog<RecordedCall>;
  scenarios: ScenarioQueue;
  failures: FailureCount;
  stop: AbortSignal;
};

/** Answers a request for generated output; like the real one, it stops when its client leaves. */
async function generate(context: Context, visit: Visit, res: ServerResponse): Promise<void> {
  const { log, failures } = context;
  const body = parseBody(visit);
  if (!body) {
    log.addOther(recordOf(context, visit, visit.bytes.toString()));
    return sendJson(res, 400, errorBody(400, 'the body is not a JSON object'));
  }
  const question = isChat(visit) ? lastQuestion(body) : textsOf(body.input).join(' ');
  const scenario = context.scenarios.choose(question);
  if (scenario instanceof ScenarioError) return sendJson(res, 400, errorBody(400, scenario.message));
  const none = { tokensSent: 0, usage: { input: 0, output: 0 }, generation: 'running' as const };
  const call = log.add({ ...recordOf(context, visit, body), scenario, ...none });
  const exchange = openExchange(res, call, context);
  const sendError = (status: number, message: string, headers: Record<string, string>) =>
    sendJson(res, status, errorBody(status, message), headers);
  try {
    const isOver = await playInstead(exchange, {
      failures,
      key: `${JSON.stringify(body.model)} ${question}`,
      sendError,
    });
    const isComplete = !isOver && (await answer(context, visit, { exchange, call, body }));
    call.generation = isComplete ? 'completed' : 'failed';
  } catch (error) {
    if (!exchange.signal.aborted) throw error;
    call.generation = 'aborted';
  } finally {
    log.changed();
  }
}

type Generating = { exchange: Exchange; call: RecordedCall; body: Body };

async function answer(context: Context, visit: Visit, { exchange, call, body }: Generating): Promise<boolean> {
  if (isChat(visit)) return answerChat({ exchange, recorded: call, body, answerer: context.answerer });
  sendEmbeddings(exchange.res, call, body);
  return true;
}

function isChat(visit: Visit): boolean {
  return visit.path === '/v1/chat/completions';
}

function recordOf({ clock }: Context, visit: Visit, body: unknown) {
  const { method, path, headers } = visit;
  return { method, path, headers, query: Object.fromEntries(visit.query), body, at: clock.now() };
}

type Body = ChatBody & { input?: unknown; dimensions?: unknown; encoding_format?: unknown };

function parseBody(visit: Visit): Body | undefined {
  try {
    const body: unknown = JSON.parse(visit.bytes.toString());
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? body : undefined;
  } catch {
    return undefined; // answered with 400
  }
}

function modelRow(id: string): object {
  return { id, object: 'model', created: MODEL_CREATED_SECONDS, owned_by: 'test-kit' };
}

/** Token numbers count as what they are: so many tokens. */
function sendEmbeddings(res: ServerResponse, call: RecordedCall, body: Body): void {
  const inputs = inputsOf(body.input);
  call.usage.input = inputs.reduce((sum, input) => sum + (Array.isArray(input) ? input.length : countTokens(input)), 0);
  const size = typeof body.dimensions === 'number' ? Math.min(body.dimensions, 4_096) : EMBEDDING_SIZE;
  const data = inputs.map((input, index) => {
    const vector = embed(String(input), size);
    const embedding = body.encoding_format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector];
    return { object: 'embedding', index, embedding };
  });
  const claim = claimedUsage(call.scenario, call.usage).at(-1);
  const usage = claim && { prompt_tokens: Number(claim.input), total_tokens: Number(claim.input) };
  const model = body.model ?? 'fake-embedding';
  sendJson(res, 200, { object: 'list', data, model, ...(usage !== undefined && { usage }) });
}

function inputsOf(input: unknown): (string | number[])[] {
  if (!Array.isArray(input)) return [typeof input === 'string' ? input : ''];
  if (input.length > 0 && input.every((one) => typeof one === 'number')) return [input];
  return input.map((one) => (Array.isArray(one) ? one.map(Number) : String(one)));
}

function textsOf(input: unknown): string[] {
  return inputsOf(input).map(String);
}

/** Equal texts have equal vectors of length one; nothing else is promised. */
function embed(text: string, size: number): Float32Array {
  const raw = Float32Array.from({ length: size }, (_, i) =>
    createHash('sha256').update(`${i} ${text}`).digest().readInt16LE(),
  );
  const length = Math.hypot(...raw) || 1;
  return raw.map((value) => value / length);
}
