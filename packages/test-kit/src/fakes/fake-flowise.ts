import { type Answerer, echo } from './answers.ts';
import { type CallWatch, createCallLog, watchOf } from './call-log.ts';
import { type Clock, systemClock } from '../clock.ts';
import { type Handler, listen } from './fake-server.ts';
import type { FlowiseCall, FlowiseContext, RecordedAbort } from './flowise/flowise-context.ts';
import { AGENT_FLOW, CHAIN_FLOW, type FakeFlow } from './flowise/flowise-flows.ts';
import { HEARTBEAT } from './flowise/flowise-frames.ts';
import { createMessageStore, type StoredMessage } from './flowise/flowise-messages.ts';
import { answerFlowise } from './flowise/flowise-routes.ts';
import { createFailureCount } from './playback.ts';
import type { Scenario } from './scenario.ts';
import { createScenarioQueue, type ScenarioControl } from './scenario-queue.ts';
import { createStopSignal, createWaitingRoom } from '../waiting.ts';

export type FakeFlowiseOptions = {
  /** 0 or absent: chosen by the system. */
  port?: number;
  /** Played for every prediction that has no scenario of its own. */
  scenario?: Scenario;
  /** The key of the management routes. */
  apiKey?: string;
  /** Absent: one chain and one agent flow. */
  flows?: readonly FakeFlow[];
  answerer?: Answerer;
  clock?: Clock;
  /** How often all open streams get a keep-alive comment; real servers do it every 30 s. */
  heartbeatMs?: number;
  /** How many predictions are remembered. */
  keep?: number;
};

export type FlowiseControl = CallWatch<FlowiseCall> &
  ScenarioControl & {
    /** The key of the management routes. */
    readonly apiKey: string;
    /** The first chain and the first agent flow of the list. */
    readonly chain: FakeFlow;
    readonly agentflow: FakeFlow;
    flows(): readonly FakeFlow[];
    /** Replaces what the server offers, as an operator who edits flows does. */
    setFlows(flows: readonly FakeFlow[]): void;
    /** Calls of the abort route, in order. */
    readonly aborts: readonly RecordedAbort[];
    /** Resolves with the first call of the abort route for a chat. */
    untilAborted(chatId: string): Promise<RecordedAbort>;
    readonly feedback: readonly object[];
    readonly leads: readonly object[];
    /** What is stored for a flow, oldest first, or for one of its chats. */
    messages(flowId: string, chatId?: string): readonly StoredMessage[];
    /** Forgets calls, scenarios, messages and files; the flows stay. */
    reset(): void;
  };

/** A fake without a socket: `handler` serves all paths. */
export type FlowiseService = FlowiseControl & { handler: Handler; stop(): void };

export type FakeFlowise = FlowiseControl & {
  /** Base URL without `/api/v1`. */
  readonly url: string;
  readonly port: number;
  /** Cuts every connection and timer, and rejects what tests still wait for. */
  stop(): Promise<void>;
};

const DEFAULT_KEY = 'fake-flowise-key';
const HEARTBEAT_MS = 30_000;
const DEFAULT_KEEP = 20_000;

/** A Flowise server on a real socket at 127.0.0.1, faithful to the wire and driven by scenarios. */
export async function startFakeFlowise(options: FakeFlowiseOptions = {}): Promise<FakeFlowise> {
  const { handler, stop, ...control } = createFlowiseService(options);
  const server = await listen(handler, options.port);
  return Object.assign(control, {
    url: server.origin,
    port: server.port,
    async stop() {
      stop();
      await server.close();
    },
  });
}

/** The same fake as a request handler, to share a port with others. */
export function createFlowiseService(options: FakeFlowiseOptions = {}): FlowiseService {
  let flows: readonly FakeFlow[] = options.flows ?? [CHAIN_FLOW, AGENT_FLOW];
  const stopping = createStopSignal();
  const room = createWaitingRoom('the fake Flowise');
  const context = createContext(options, () => flows, stopping.signal);
  const beat = setInterval(() => sendHeartbeats(context), options.heartbeatMs ?? HEARTBEAT_MS);

  return {
    ...watchOf(context.log),
    ...context.scenarios.control,
    apiKey: context.apiKey,
    chain: flows.find((flow) => flow.kind === 'chain') ?? CHAIN_FLOW,
    agentflow: flows.find((flow) => flow.kind === 'agentflow') ?? AGENT_FLOW,
    flows: () => flows,
    setFlows: (next) => {
      flows = next;
    },
    aborts: context.aborts,
    untilAborted: (chatId) =>
      room.until(`an abort of chat ${chatId}`, () => context.aborts.find((abort) => abort.chatId === chatId)),
    feedback: context.feedback,
    leads: context.leads,
    messages: (flowId, chatId) => context.messages.list(flowId, chatId === undefined ? {} : { chatId }),
    async handler(visit, res) {
      await answerFlowise(context, visit, res);
      room.changed();
    },
    reset: () => resetContext(context),
    stop() {
      clearInterval(beat);
      stopping.abort(new Error('the fake was stopped'));
      context.log.stop();
      room.close();
    },
  };
}

function createContext(
  options: FakeFlowiseOptions,
  flows: () => readonly FakeFlow[],
  stop: AbortSignal,
): FlowiseContext {
  return {
    apiKey: options.apiKey ?? DEFAULT_KEY,
    flows,
    messages: createMessageStore(),
    attachments: new Map(),
    slots: new Map(),
    running: new Map(),
    aborts: [],
    feedback: [],
    leads: [],
    log: createCallLog<FlowiseCall>('the fake Flowise', options.keep ?? DEFAULT_KEEP),
    scenarios: createScenarioQueue(options.scenario),
    failures: createFailureCount(),
    answerer: options.answerer ?? echo,
    clock: options.clock ?? systemClock,
    stop,
  };
}

function resetContext(context: FlowiseContext): void {
  context.log.reset();
  context.scenarios.reset();
  context.failures.reset();
  context.messages.clear();
  context.attachments.clear();
  context.aborts.length = 0;
  context.feedback.length = 0;
  context.leads.length = 0;
}

function sendHeartbeats(context: FlowiseContext): void {
  for (const exchange of context.slots.values()) void exchange.write(HEARTBEAT);
}
