import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { answerTokens, countTokens } from '../answers.ts';
import { type Exchange, openExchange } from '../exchange.ts';
import { isForm, readForm, sendJson, type Visit } from '../fake-server.ts';
import { FLOWISE_HEADERS, type FlowiseCall, type FlowiseContext, runningKey } from './flowise-context.ts';
import { FLOWISE_SECRETS, type FakeFlow } from './flowise-flows.ts';
import { errorBody, flowError } from './flowise-frames.ts';
import { callerHistory, withoutDirectives } from './flowise-messages.ts';
import { answerRun, errorFrames, STREAM_HEADERS, streamRun, toolUsageOf } from './flowise-runs.ts';
import { playInstead } from '../playback.ts';
import { ScenarioError } from '../scenario.ts';
import { untilAborted } from '../../waiting.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TOKENS_PER_MESSAGE = 3; // what the chat template adds around a message

type Body = Record<string, unknown>;

/** Why a prediction is not run. Before the stream opens, an error with `streaming: true` makes Flowise write nothing. */
type Refusal = { status: number; message: string; whenStreaming: 'hangs' | 'error event' };

/** `POST /api/v1/prediction/:id` */
export async function predict(context: FlowiseContext, flowId: string, visit: Visit, res: ServerResponse) {
  const body = await readBody(visit);
  if (!body) return sendJson(res, 400, errorBody(400, 'Unexpected end of JSON input'));
  const flow = context.flows().find((each) => each.id === flowId);
  const question = body.question ?? (body.form === undefined ? undefined : JSON.stringify(body.form));
  const refusal = refusalOf(flow, flowId, visit, body);
  const scenario = refusal ? {} : context.scenarios.choose(typeof question === 'string' ? question : '');
  if (scenario instanceof ScenarioError) return sendJson(res, 500, errorBody(500, flowError(scenario.message)));
  const call = context.log.add({
    method: visit.method,
    path: visit.path,
    query: Object.fromEntries(visit.query),
    headers: visit.headers,
    body,
    at: context.clock.now(),
    scenario,
    tokensSent: 0,
    usage: { input: 0, output: 0 },
    generation: 'running',
    flowId,
    ...identitiesOf(body),
  });
  const exchange = openExchange(res, call, context);
  const abort = new AbortController();
  try {
    if (refusal || !flow) call.generation = await refuse(exchange, refusal, body);
    else call.generation = await run({ context, flow, body, question, call, exchange, abort });
  } catch (error) {
    if (!exchange.signal.aborted && !abort.signal.aborted) throw error;
    call.generation = 'aborted';
  } finally {
    context.log.changed();
  }
}

type Start = {
  context: FlowiseContext;
  flow: FakeFlow;
  body: Body;
  question: unknown;
  call: FlowiseCall;
  exchange: Exchange;
  abort: AbortController;
};

async function run(start: Start): Promise<'completed' | 'failed'> {
  const { context, flow, body, question, call, exchange, abort } = start;
  const sendError = (status: number, message: string, headers: Record<string, string>) =>
    sendJson(exchange.res, status, errorBody(status, message), { ...FLOWISE_HEADERS, ...headers });
  const refusal = { failures: context.failures, key: `${flow.id} ${String(question)}`, sendError };
  if (await playInstead(exchange, refusal)) return 'failed';

  const asked = withDocuments(withoutDirectives(String(question)), body.uploads);
  const history = [...context.messages.turns(flow.id, call.sessionId), ...callerHistory(body.history)];
  const tokens = answerTokens(exchange.scenario, { question: asked, history, model: flow.name }, context.answerer);
  const input = inputTokens([FLOWISE_SECRETS.systemPrompt, ...history.map((turn) => turn.content), asked]);
  const toolUsage = toolUsageOf(flow, exchange, input);
  // With a tool the model is asked twice, the second time with what it said the first time.
  call.usage.input = toolUsage ? input + input + toolUsage.output : input;
  call.usage.output = toolUsage?.output ?? 0;

  const key = runningKey(flow.id, call.chatId);
  if (flow.kind === 'agentflow') context.running.set(key, abort);
  const signal = AbortSignal.any([abort.signal, context.stop]);
  const flowRun = { context, exchange, call, flow, question, tokens, toolUsage, signal };
  try {
    const isComplete = await (isStreamed(flow, body) ? streamRun(flowRun) : answerRun(flowRun));
    return isComplete ? 'completed' : 'failed';
  } finally {
    if (context.running.get(key) === abort) context.running.delete(key);
    if (context.slots.get(call.chatId) === exchange) context.slots.delete(call.chatId);
  }
}

async function refuse(exchange: Exchange, refusal: Refusal | undefined, body: Body): Promise<'failed'> {
  const { status, message, whenStreaming } = refusal ?? notFound('');
  if (!isTrue(body.streaming)) {
    sendJson(exchange.res, status, errorBody(status, message), FLOWISE_HEADERS);
    return 'failed';
  }
  if (whenStreaming === 'hangs') await untilAborted(exchange.signal);
  exchange.open(200, STREAM_HEADERS);
  await exchange.write(errorFrames(message));
  exchange.end();
  return 'failed';
}

function refusalOf(flow: FakeFlow | undefined, flowId: string, visit: Visit, body: Body): Refusal | undefined {
  if (flowId === '') {
    const message = 'Error: predictionsController.createPrediction - id not provided!';
    return { status: 412, message, whenStreaming: 'hangs' };
  }
  if (!UUID.test(flowId)) return { status: 400, message: 'Invalid Chatflow ID', whenStreaming: 'hangs' };
  if (!flow) return notFound(flowId);
  if (flow.apiKey !== undefined && visit.headers.authorization !== `Bearer ${flow.apiKey}`) {
    return inFlow('Unauthorized');
  }
  const sessionId = overrideOf(body).sessionId;
  if (isGiven(body.chatId) && typeof body.chatId !== 'string') return inFlow('Invalid chatId: must be a string');
  if (isGiven(sessionId) && typeof sessionId !== 'string') return inFlow('Invalid sessionId: must be a string');
  if (isGiven(body.question) && isGiven(body.form)) {
    return inFlow('Question and form cannot be provided at the same time');
  }
  return undefined;
}

function notFound(flowId: string): Refusal {
  return { status: 404, message: `Chatflow ${flowId} not found in the database!`, whenStreaming: 'hangs' };
}

// Flowise hides even a wrong key in a 500.
function inFlow(message: string): Refusal {
  return { status: 500, message: flowError(message), whenStreaming: 'error event' };
}

function identitiesOf(body: Body): { chatId: string; sessionId: string } {
  const override = overrideOf(body).sessionId;
  const session = typeof override === 'string' && override !== '' ? override : undefined;
  const given = typeof body.chatId === 'string' && body.chatId !== '' ? body.chatId : undefined;
  const chatId = given ?? session ?? randomUUID();
  return { chatId, sessionId: session ?? chatId };
}

async function readBody(visit: Visit): Promise<Body | undefined> {
  if (!isForm(visit)) return parseObject(visit.bytes.toString() || '{}');
  const form = await readForm(visit);
  const fields = [...form.entries()].map(([name, value]) => [name, typeof value === 'string' ? value : value.name]);
  const body: Body = Object.fromEntries(fields);
  // Objects travel as JSON strings inside a form.
  for (const name of ['overrideConfig', 'history', 'uploads', 'form']) {
    if (typeof body[name] === 'string') body[name] = parseObject(body[name]) ?? body[name];
  }
  return body;
}

function parseObject(json: string): Body | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Body) : undefined; // any JSON object or list
  } catch {
    return undefined;
  }
}

/** Whole files are put before the question; the model sees them as part of it. */
function withDocuments(question: string, uploads: unknown): string {
  const whole = (Array.isArray(uploads) ? uploads : []).filter((upload) => upload?.type === 'file:full');
  const documents = whole.map((upload) => `<doc name='${upload.name}'>${upload.data}</doc>`);
  return [...documents, question].join(' ');
}

function inputTokens(messages: readonly string[]): number {
  return messages.reduce((sum, message) => sum + countTokens(message) + TOKENS_PER_MESSAGE, 0);
}

function isStreamed(flow: FakeFlow, body: Body): boolean {
  return flow.streams !== false && isTrue(body.streaming);
}

function overrideOf(body: Body): Body {
  const override = body.overrideConfig;
  return typeof override === 'object' && override !== null ? (override as Body) : {}; // any object will do
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true';
}
