import { parseArgs } from 'node:util';
import type { Answerer } from './answers.ts';
import { createFlowiseService } from './fake-flowise.ts';
import { createOpenAiService } from './fake-openai.ts';
import { listen } from './fake-server.ts';
import { AGENT_FLOW, CHAIN_FLOW, type FakeFlow } from './flowise/flowise-flows.ts';

export type DemoUpstreamOptions = {
  /** 0 or absent: chosen by the system. */
  port?: number;
  /** The key of Flowise's management routes. */
  flowiseApiKey?: string;
  /** When given, the OpenAI routes refuse other keys. */
  openAiApiKey?: string;
};

export type DemoUpstream = {
  readonly port: number;
  /** For FLOWISE_API_URL. */
  readonly flowiseUrl: string;
  readonly flowiseApiKey: string;
  /** For OPENAI_BASE_URL. */
  readonly openAiUrl: string;
  readonly models: readonly string[];
  readonly flows: readonly FakeFlow[];
  stop(): Promise<void>;
};

/** About thirty tokens a second, the pace of a hosted model. */
const TOKEN_DELAY_MS = 33;
const FIRST_TOKEN_DELAY_MS = 250;
const KEPT_CALLS = 100;
const MODELS = ['demo-mini', 'demo-large'];
const FLOWS: readonly FakeFlow[] = [
  { ...CHAIN_FLOW, name: 'Demo assistant' },
  { ...AGENT_FLOW, name: 'Demo agent' },
];

/**
 * The upstream of a first start: Flowise under `/api/v1` and OpenAI under `/v1` on one port of 127.0.0.1, streaming
 * readable answers with true usage. Messages may carry scenario directives as with the fakes.
 */
export async function startDemoUpstream(options: DemoUpstreamOptions = {}): Promise<DemoUpstream> {
  const common = {
    scenario: { firstTokenDelayMs: FIRST_TOKEN_DELAY_MS, tokenDelayMs: TOKEN_DELAY_MS },
    answerer: demoAnswer,
    keep: KEPT_CALLS,
  };
  const { flowiseApiKey, openAiApiKey } = options;
  const flowise = createFlowiseService({
    ...common,
    flows: FLOWS,
    ...(flowiseApiKey ? { apiKey: flowiseApiKey } : {}),
  });
  const openAi = createOpenAiService({ ...common, models: MODELS, ...(openAiApiKey ? { apiKey: openAiApiKey } : {}) });
  const server = await listen(
    (visit, res) => (visit.path.startsWith('/v1/') ? openAi : flowise).handler(visit, res),
    options.port,
  );
  return {
    port: server.port,
    flowiseUrl: server.origin,
    flowiseApiKey: flowise.apiKey,
    openAiUrl: `${server.origin}/v1`,
    models: MODELS,
    flows: FLOWS,
    async stop() {
      flowise.stop();
      openAi.stop();
      await server.close();
    },
  };
}

/** An answer that reads like one, refers to the question and shows that the conversation is remembered. */
const demoAnswer: Answerer = ({ question, history, model }) => {
  const topic = question.trim().replace(/\s+/g, ' ').slice(0, 120) || 'nothing in particular';
  const earlier = history.findLast((turn) => turn.role === 'user')?.content;
  const memory = earlier
    ? `\n\nBefore that you wrote "${earlier.trim().slice(0, 80)}", so this conversation is kept.`
    : '';
  return (
    `You asked: "${topic}".\n\n` +
    `This is ${model}, the demo upstream that comes with Tollgate. I know nothing about the world, but I stream like a ` +
    'real model: one token after the other, at a readable pace, with the number of tokens at the end.\n\n' +
    '- Before my first word a hold was placed on your credits.\n' +
    '- While I write, each token is counted.\n' +
    '- When I stop, or when you leave, the hold is settled for what you really received.\n\n' +
    `Ask for your balance now and compare it with the last event of this stream.${memory}`
  );
};

/** `node demo-upstream.ts --port 4010 [--flowise-key K] [--openai-key K]`; prints one JSON line when it is ready. */
async function runAsProgram(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      'flowise-key': { type: 'string' },
      'openai-key': { type: 'string' },
    },
  });
  const { 'flowise-key': flowiseApiKey, 'openai-key': openAiApiKey } = values;
  const upstream = await startDemoUpstream({
    port: Number(values.port),
    ...(flowiseApiKey ? { flowiseApiKey } : {}),
    ...(openAiApiKey ? { openAiApiKey } : {}),
  });
  const { flowiseUrl, openAiUrl, models } = upstream;
  const flows = upstream.flows.map(({ id, name, kind }) => ({ id, name, kind }));
  process.stdout.write(`${JSON.stringify({ flowiseUrl, openAiUrl, models, flows, pid: process.pid })}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void upstream.stop());
}

if (import.meta.main) await runAsProgram();
