import { randomUUID } from 'node:crypto';
import { countTokens } from '../answers.ts';
import type { TokenUse } from '../claimed-usage.ts';
import type { Exchange } from '../exchange.ts';
import { sendJson } from '../fake-server.ts';
import {
  type AgentRun,
  closingFrames,
  executedNodes,
  failureFrames,
  lateFrames,
  openingFrames,
  toolCallFrames,
} from './flowise-agentflow.ts';
import { FLOWISE_HEADERS, type FlowiseCall, type FlowiseContext } from './flowise-context.ts';
import type { FakeFlow } from './flowise-flows.ts';
import {
  BROKEN_FRAME,
  END_FRAME,
  errorBody,
  flowError,
  frame,
  HEARTBEAT,
  jsonWithUsage,
  UNKNOWN_FRAME,
} from './flowise-frames.ts';
import { playTokens, type Stage } from '../playback.ts';

/** One run of a flow. Its signal is the flow's own: a client that leaves does not stop it. */
export type Run = {
  context: FlowiseContext;
  exchange: Exchange;
  call: FlowiseCall;
  flow: FakeFlow;
  /** As the caller sent it; repeated in the answer and stored. */
  question: unknown;
  tokens: readonly string[];
  /** The part of the usage that went into the call of a tool. */
  toolUsage: TokenUse | undefined;
  signal: AbortSignal;
};

/** The headers that Flowise sends before it asks the model. */
export const STREAM_HEADERS = {
  ...FLOWISE_HEADERS,
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  connection: 'keep-alive',
  'x-accel-buffering': 'no',
};

const SPELLING = { heartbeat: HEARTBEAT, brokenFrame: BROKEN_FRAME, unknownFrame: UNKNOWN_FRAME };
const ABORTED = 'This operation was aborted';

/** Runs a flow into an event stream. Returns whether it came to its end; rejects when the fake is stopped. */
export async function streamRun(run: Run): Promise<boolean> {
  const { context, exchange, call, flow } = run;
  const { scenario } = exchange;
  exchange.open(200, STREAM_HEADERS);
  context.slots.set(call.chatId, exchange);
  // Looked up for each write, because another stream of the same chat may have taken the place meanwhile.
  const place = () => context.slots.get(call.chatId);
  const write = async (content: string | Buffer) => place()?.write(content);
  const leave = () => {
    place()?.end();
    context.slots.delete(call.chatId);
  };
  const begin = once(() => write(isAgent(flow) ? frame('token', '') + toolCallFrames(scenario) : frame('start', '')));
  const fail = async (message: string) => {
    await write(isAgent(flow) ? failureFrames(String(run.question), message) : errorFrames(flowError(message)));
    leave();
  };
  const stage: Stage = {
    ...SPELLING,
    signal: run.signal,
    write,
    sendFailure: fail,
    reset: () => place()?.reset(),
    cut: () => place()?.cut(),
    async sendToken(token) {
      call.usage.output += 1;
      if (scenario.withholdTokens) return;
      await begin();
      await write(frame('token', token));
      exchange.countSent();
    },
  };

  if (isAgent(flow)) await write(openingFrames(String(run.question)));
  try {
    if (!(await playTokens(scenario, run.tokens, stage))) return false;
  } catch (error) {
    if (run.signal.aborted && !context.stop.aborted) await fail(ABORTED);
    throw error;
  }
  if (isAgent(flow)) await begin();
  await write(endingOf(run));
  leave();
  return true;
}

/** Runs a flow into one JSON body. */
export async function answerRun(run: Run): Promise<boolean> {
  const { exchange, call, flow } = run;
  const { scenario, res } = exchange;
  const fail = async (message: string) => {
    const text = isAgent(flow) ? `Error in Agent node: ${message}` : message;
    sendJson(res, 500, errorBody(500, flowError(text)), FLOWISE_HEADERS);
  };
  const stage: Stage = {
    ...SPELLING,
    signal: run.signal,
    write: async () => undefined,
    sendFailure: fail,
    reset: exchange.reset,
    cut: exchange.cut,
    async sendToken() {
      call.usage.output += 1;
    },
  };
  try {
    if (!(await playTokens(scenario, run.tokens, stage))) return false;
  } catch (error) {
    if (run.signal.aborted && !run.context.stop.aborted) await fail(ABORTED);
    throw error;
  }
  const json = jsonOf(run);
  const bytes = Buffer.from(scenario.intrusion ? json.slice(0, json.length / 2) : json);
  const type = { 'content-type': 'application/json; charset=utf-8', 'content-length': String(bytes.length) };
  exchange.open(200, { ...FLOWISE_HEADERS, ...type });
  await exchange.write(bytes);
  exchange.countSent(run.tokens.length);
  exchange.end();
  return true;
}

/** What a stream holds when a flow cannot run: the status is 200 all the same. */
export function errorFrames(message: string): string {
  return frame('error', message) + END_FRAME;
}

/** Usage of the model calls that lead to a tool: its arguments are what they produce. */
export function toolUsageOf(flow: FakeFlow, { scenario }: Exchange, input: number): TokenUse | undefined {
  if (!isAgent(flow) || !scenario.toolCall) return undefined;
  return { input, output: Math.max(1, countTokens(JSON.stringify(scenario.toolCall.arguments))) };
}

function endingOf(run: Run): string {
  const { flow, exchange } = run;
  const omit = exchange.scenario.omit ?? [];
  const agentRun = isAgent(flow) ? agentRunOf(run) : undefined;
  const { chatId, chatMessageId, question, sessionId, memoryType } = storeTurn(run);
  return [
    agentRun ? closingFrames(agentRun) : '',
    omit.includes('metadata') ? '' : frame('metadata', { chatId, chatMessageId, question, sessionId, memoryType }),
    agentRun ? lateFrames(agentRun) : '',
    omit.includes('end') || omit.includes('done') ? '' : END_FRAME,
  ].join('');
}

function jsonOf(run: Run): string {
  const { call, flow } = run;
  const text = run.exchange.scenario.withholdTokens ? '' : run.tokens.join('');
  const { chatId, chatMessageId, question, sessionId, memoryType } = storeTurn(run);
  const ids = { text, question, chatId, chatMessageId };
  if (!isAgent(flow)) return JSON.stringify({ ...ids, isStreamValid: false, sessionId, memoryType });
  const { nodes, usage } = executedNodes(agentRunOf(run));
  const executed = { executionId: randomUUID(), agentFlowExecutedData: nodes };
  return jsonWithUsage({ ...ids, ...executed, sessionId: call.sessionId }, usage);
}

/** Keeps question and answer, as Flowise does once the last token is there. Returns what the caller is told of it. */
function storeTurn(run: Run) {
  const { context, call, flow, question } = run;
  const { chatId, sessionId } = call;
  const chatMessageId = randomUUID();
  const answer = { id: chatMessageId, content: run.tokens.join('') };
  const conversation = { chatflowid: flow.id, chatId, sessionId };
  context.messages.add(conversation, String(question), answer, context.clock.now());
  return { chatId, chatMessageId, question, sessionId, memoryType: isAgent(flow) ? undefined : 'Buffer Memory' };
}

function agentRunOf(run: Run): AgentRun {
  const { call, context, exchange, question, tokens, toolUsage } = run;
  const times = { startedAt: call.at, endedAt: context.clock.now() };
  const answer = tokens.join('');
  return { scenario: exchange.scenario, question: String(question), answer, usage: call.usage, toolUsage, ...times };
}

function isAgent(flow: FakeFlow): boolean {
  return flow.kind === 'agentflow';
}

function once(act: () => Promise<void>): () => Promise<void> {
  let started: Promise<void> | undefined;
  return () => {
    started ??= act();
    return started;
  };
}
