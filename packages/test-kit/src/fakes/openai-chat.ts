import { type Answerer, type Ask, answerTokens, countTokens, reasoningTokens, type Turn } from './answers.ts';
import type { RecordedCall } from './call-log.ts';
import { claimedUsage } from './claimed-usage.ts';
import type { Exchange } from './exchange.ts';
import {
  type AnswerHead,
  answerHead,
  BROKEN_FRAME,
  type ChunkUsage,
  chunk,
  completion,
  DONE,
  delta,
  errorBody,
  HEARTBEAT,
  randomId,
  type ToolCall,
  toolCall,
  UNKNOWN_FRAME,
} from './openai-frames.ts';
import { playTokens, type Stage } from './playback.ts';
import { readDirectives } from './scenario.ts';
import { pause, untilAborted } from '../waiting.ts';

const TOOL_ARGUMENT_PIECE = 8;
const TOKENS_PER_MESSAGE = 3; // what the chat template adds around a message
const TOKENS_PER_IMAGE = 85;
const MOST_CHOICES = 128;

type Message = { role?: unknown; content?: unknown };

/** The fields of a chat completion request that the fake looks at. */
export type ChatBody = {
  model?: unknown;
  messages?: unknown;
  stream?: unknown;
  stream_options?: { include_usage?: unknown } | null;
  max_tokens?: unknown;
  max_completion_tokens?: unknown;
  n?: unknown;
};

type Plan = {
  head: AnswerHead;
  /** How often the answer is given, each with the same words. */
  choices: number;
  reasoning: string[];
  tokens: string[];
  call: ToolCall | undefined;
  finish: string;
  /** Whether the stream carries usage at all. */
  wantsUsage: boolean;
};

/** The last user message, as written. */
export function lastQuestion(body: ChatBody): string {
  return textOf(messagesOf(body).findLast((message) => message.role === 'user')?.content);
}

type Answering = { exchange: Exchange; recorded: RecordedCall; body: ChatBody; answerer: Answerer };

/** Answers a chat completion that was not answered otherwise before. Returns whether the answer is complete. */
export function answerChat(answering: Answering): Promise<boolean> {
  const { exchange, recorded, body } = answering;
  const plan = planAnswer(answering);
  const isStream = body.stream === true && !exchange.scenario.unstreamed;
  return isStream ? streamAnswer(exchange, recorded, plan) : sendAnswer(exchange, recorded, plan);
}

function planAnswer({ exchange: { scenario }, recorded, body, answerer }: Answering): Plan {
  const messages = messagesOf(body);
  const wantsTool = scenario.toolCall !== undefined && messages.at(-1)?.role !== 'tool';
  const call =
    wantsTool && scenario.toolCall ? toolCall(scenario.toolCall.name, scenario.toolCall.arguments) : undefined;
  const model = typeof body.model === 'string' ? body.model : 'unnamed';
  const wanted = call ? slice(call.function.arguments) : answerTokens(scenario, askOf(messages, model), answerer);
  const cap = scenario.ignoreMaxTokens ? Number.POSITIVE_INFINITY : outputCap(body);
  const reasoning = reasoningTokens(scenario).slice(0, cap);
  const tokens = wanted.slice(0, Math.max(0, cap - reasoning.length));
  recorded.usage.input = messages.reduce((sum, { content }) => sum + inputTokens(content), 0);
  return {
    head: answerHead(model, recorded.at),
    choices: choicesOf(body),
    reasoning,
    tokens,
    call,
    finish: finishOf(call, tokens.length < wanted.length),
    wantsUsage: body.stream_options?.include_usage === true,
  };
}

async function streamAnswer(exchange: Exchange, recorded: RecordedCall, plan: Plan): Promise<boolean> {
  const { scenario } = exchange;
  const { head, call, wantsUsage, reasoning, choices } = plan;
  const noUsageYet: ChunkUsage = wantsUsage ? { usage: null } : {};
  const send = async (content: object) => {
    for (let index = 0; index < choices; index += 1)
      await exchange.write(chunk(head, [delta(content, null, index)], noUsageYet));
  };
  let thoughts = 0;
  const stage: Stage = {
    signal: exchange.signal,
    write: exchange.write,
    reset: exchange.reset,
    cut: exchange.cut,
    heartbeat: HEARTBEAT,
    brokenFrame: BROKEN_FRAME,
    unknownFrame: UNKNOWN_FRAME,
    async sendToken(token) {
      const isThought = thoughts < reasoning.length;
      if (isThought) thoughts += 1;
      await send(isThought ? { reasoning_content: token } : pieceOf(token, call));
      recorded.usage.output += choices;
      if (isThought) recorded.usage.reasoning = (recorded.usage.reasoning ?? 0) + choices;
      exchange.countSent();
    },
    async sendFailure(message) {
      await exchange.write(`data: ${JSON.stringify(errorBody(500, message))}\n\n`);
      exchange.end();
    },
  };

  exchange.open(200, streamHeaders());
  await send({ role: 'assistant', content: call ? null : '', refusal: null });
  if (call) {
    await send({ tool_calls: [{ index: 0, ...call, function: { name: call.function.name, arguments: '' } }] });
    recorded.usage.output += choices; // the name
  }
  if (!(await playTokens(scenario, [...reasoning, ...plan.tokens], stage))) return false;
  await finishStream(exchange, recorded, plan);
  return true;
}

/** Finish reason, usage and end mark, each of which a scenario can move or leave out. */
async function finishStream(exchange: Exchange, recorded: RecordedCall, plan: Plan): Promise<void> {
  const { scenario } = exchange;
  const { head, wantsUsage } = plan;
  const claims = wantsUsage ? claimedUsage(scenario, recorded.usage) : [];
  const sendUsage = async () => {
    for (const usage of claims) await exchange.write(chunk(head, [], { usage }));
  };
  const rides = scenario.usage === 'with-choices' ? claims[0] : undefined;
  if (!scenario.omit?.includes('finish')) await sendFinishes(exchange, plan, rides);
  if (!rides && scenario.usage !== 'late') await sendUsage();
  if (!scenario.omit?.includes('done')) await exchange.write(DONE);
  if (scenario.usage === 'late') await sendUsage();
  exchange.end();
}

/** Usage that rides along does so in the last of them. */
async function sendFinishes(exchange: Exchange, plan: Plan, rides: ChunkUsage['usage']): Promise<void> {
  const { head, finish, wantsUsage, choices } = plan;
  for (let index = 0; index < choices; index += 1) {
    const usage = index === choices - 1 ? (rides ?? null) : null;
    await exchange.write(chunk(head, [delta({}, finish, index)], wantsUsage ? { usage } : {}));
  }
}

/** One JSON body. What disturbs a stream between tokens disturbs it in the middle of the bytes. */
async function sendAnswer(exchange: Exchange, recorded: RecordedCall, plan: Plan): Promise<boolean> {
  const { scenario, signal, res } = exchange;
  await pause((scenario.firstTokenDelayMs ?? 0) + (scenario.tokenDelayMs ?? 0) * plan.tokens.length, signal);
  if (scenario.errorEvent) {
    const text = JSON.stringify(errorBody(500, scenario.errorEvent.message ?? 'the model failed'));
    res.writeHead(500, { 'content-type': 'application/json' });
    res.end(text);
    return false;
  }
  const { reasoning, choices, call } = plan;
  recorded.usage.output = choices * (reasoning.length + plan.tokens.length + (call ? 1 : 0));
  if (reasoning.length > 0) recorded.usage.reasoning = choices * reasoning.length;
  const usage = claimedUsage(scenario, recorded.usage).at(-1);
  const finish = scenario.omit?.includes('finish') ? null : plan.finish;
  const json = completion(plan.head, messageOf(plan, scenario.withholdTokens), finish, {
    choices,
    ...(usage !== undefined && { usage }),
  });
  const bytes = Buffer.from(scenario.intrusion ? json.slice(0, json.length / 2) : json);
  exchange.open(200, { ...jsonHeaders(), 'content-length': String(bytes.length) });
  if (await isBrokenOff(exchange, bytes)) return false;
  await exchange.write(bytes);
  exchange.countSent(plan.tokens.length);
  exchange.end();
  return true;
}

function messageOf({ call, reasoning, tokens }: Plan, isWithheld = false) {
  const said = call ? { content: null, tool_calls: [call] } : { content: isWithheld ? '' : tokens.join('') };
  return { ...said, ...(reasoning.length > 0 && { reasoning_content: reasoning.join('') }) };
}

async function isBrokenOff(exchange: Exchange, bytes: Buffer): Promise<boolean> {
  const { resetAfter, cutAfter, hangAfter } = exchange.scenario;
  if (resetAfter === undefined && cutAfter === undefined && hangAfter === undefined) return false;
  await exchange.write(bytes.subarray(0, Math.floor(bytes.length / 2)));
  if (resetAfter !== undefined) exchange.reset();
  else if (cutAfter !== undefined) exchange.cut();
  else await untilAborted(exchange.signal);
  return true;
}

// The cookie and the server name are there so that a test can prove that a proxy keeps them to itself.
function commonHeaders(): Record<string, string> {
  return { 'x-request-id': `req_${randomId()}`, server: 'fake-openai', 'set-cookie': '__cf_bm=fake; path=/; HttpOnly' };
}

function streamHeaders(): Record<string, string> {
  return { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', ...commonHeaders() };
}

function jsonHeaders(): Record<string, string> {
  return { 'content-type': 'application/json', ...commonHeaders() };
}

function askOf(messages: readonly Message[], model: string): Ask {
  const last = messages.at(-1);
  if (last?.role === 'tool') return { question: `the tool answered ${textOf(last.content)}`, history: [], model };
  const asked = messages.findLastIndex((message) => message.role === 'user');
  const history = messages.slice(0, Math.max(asked, 0)).flatMap(({ role, content }): Turn[] => {
    return role === 'user' || role === 'assistant' ? [{ role, content: plain(content) }] : [];
  });
  return { question: plain(messages[asked]?.content), history, model };
}

function messagesOf(body: ChatBody): Message[] {
  return Array.isArray(body.messages) ? body.messages.filter((message) => typeof message === 'object' && message) : [];
}

/** The text of a message without its directives. */
function plain(content: unknown): string {
  return readDirectives(textOf(content)).text;
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join(' ');
}

function pieceOf(token: string, call: ToolCall | undefined): object {
  return call ? { tool_calls: [{ index: 0, function: { arguments: token } }] } : { content: token };
}

function inputTokens(content: unknown): number {
  const images = Array.isArray(content) ? content.filter((part) => part?.type === 'image_url').length : 0;
  return countTokens(plain(content)) + TOKENS_PER_MESSAGE + images * TOKENS_PER_IMAGE;
}

function choicesOf({ n }: ChatBody): number {
  return typeof n === 'number' && Number.isInteger(n) && n > 0 ? Math.min(n, MOST_CHOICES) : 1;
}

function outputCap(body: ChatBody): number {
  const cap = body.max_completion_tokens ?? body.max_tokens;
  return typeof cap === 'number' ? cap : Number.POSITIVE_INFINITY;
}

function finishOf(call: ToolCall | undefined, isCut: boolean): string {
  if (isCut) return 'length';
  return call ? 'tool_calls' : 'stop';
}

function slice(text: string): string[] {
  return text.match(new RegExp(`.{1,${TOOL_ARGUMENT_PIECE}}`, 'gs')) ?? [];
}
