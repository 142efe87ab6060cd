import { claimedUsage, type TokenUse } from '../claimed-usage.ts';
import { FLOWISE_SECRETS, modelConfig } from './flowise-flows.ts';
import { END_FRAME, flowError, frame, frameWithUsage, usageJson, usageSlot } from './flowise-frames.ts';
import type { CheckedScenario } from '../scenario.ts';

const START = { nodeId: 'startAgentflow_0', nodeLabel: 'Start' };
const AGENT = { nodeId: 'agentAgentflow_0', nodeLabel: 'Answerer' };

/** What the events of one run of the agent flow are made of. */
export type AgentRun = {
  scenario: CheckedScenario;
  question: string;
  answer: string;
  /** All model calls together. */
  usage: TokenUse;
  /** The model calls that led to the tool, when there was one. */
  toolUsage: TokenUse | undefined;
  startedAt: number;
  endedAt: number;
};

/** The events up to the moment in which the model is asked. */
export function openingFrames(question: string): string {
  return [
    frame('agentFlowEvent', 'INPROGRESS'),
    nodeFrame(START, 'INPROGRESS'),
    nodeFrame(START, 'FINISHED'),
    frame('agentFlowExecutedData', [startNode(question)]),
    nodeFrame(AGENT, 'INPROGRESS'),
  ].join('');
}

/** The call of the tool; the empty tokens around it are what Flowise really sends. */
export function toolCallFrames(scenario: CheckedScenario): string {
  if (!scenario.toolCall) return '';
  return [frame('token', ''), frame('calledTools', [toolOf(scenario.toolCall, '')]), frame('token', '')].join('');
}

/** The events between the last token and the metadata. */
export function closingFrames(run: AgentRun): string {
  const { scenario } = run;
  const { toolCall } = scenario;
  return [
    frame('token', ''),
    frame('token', ''),
    toolCall ? frame('usedTools', [toolOf(toolCall, toolCall.result)]) : '',
    frame('calledTools', []),
    scenario.usage === 'late' ? '' : usageFrames(run),
    nodeFrame(AGENT, 'FINISHED'),
    scenario.usage === 'late' ? '' : executedFrame(run),
    scenario.omit?.includes('finish') ? '' : frame('agentFlowEvent', 'FINISHED'),
  ].join('');
}

/** With the usage variant `late` these follow the metadata. */
export function lateFrames(run: AgentRun): string {
  return run.scenario.usage === 'late' ? usageFrames(run) + executedFrame(run) : '';
}

/** The events of a node that fails; the stream ends with them although its status is 200. */
export function failureFrames(question: string, message: string): string {
  const error = `Error in Agent node: ${message}`;
  return [
    frame('nextAgentFlow', { ...AGENT, status: 'ERROR', error }),
    frame('agentFlowExecutedData', [startNode(question), failedNode(error)]),
    frame('agentFlowEvent', 'ERROR'),
    frame('error', flowError(error)),
    END_FRAME,
  ].join('');
}

/** The executed nodes of the JSON answer, which leaves the credential id out, with the JSON text of their usage. */
export function executedNodes(run: AgentRun): { nodes: object[]; usage: string } {
  const usage = executedUsage(run);
  const nodes = [startNode(run.question), agentNode(run, { credential: false, usage: usage !== undefined })];
  return { nodes, usage: usage ?? 'null' };
}

function usageFrames(run: AgentRun): string {
  return claimedUsage(run.scenario, lastCall(run))
    .map((claim) => frameWithUsage('usageMetadata', usageSlot(), usageJson(claim)))
    .join('');
}

function executedFrame(run: AgentRun): string {
  const usage = executedUsage(run);
  const nodes = [startNode(run.question), agentNode(run, { credential: true, usage: usage !== undefined })];
  return frameWithUsage('agentFlowExecutedData', nodes, usage ?? 'null');
}

/**
 * What an executed node reports. With a tool Flowise counts the last model call twice in `total_tokens`; only
 * `tool_call_tokens` holds the true sum of all calls.
 */
function executedUsage(run: AgentRun): string | undefined {
  const claim = claimedUsage(run.scenario, lastCall(run)).at(-1);
  if (!claim) return claim === null ? 'null' : undefined;
  if (!run.toolUsage) return usageJson(claim, 0);
  const all = run.usage.input + run.usage.output;
  const last = lastCall(run);
  return usageJson({ ...claim, total: String(all + last.input + last.output) }, all);
}

/** The usage of the model call that gave the answer, without those that led to a tool. */
function lastCall({ usage, toolUsage = { input: 0, output: 0 } }: AgentRun): TokenUse {
  return { input: usage.input - toolUsage.input, output: usage.output - toolUsage.output };
}

function startNode(question: string): object {
  const data = { id: START.nodeId, name: 'startAgentflow', input: { question }, output: { question }, state: {} };
  return { ...START, data, previousNodeIds: [], status: 'FINISHED' };
}

function agentNode(run: AgentRun, shows: { credential: boolean; usage: boolean }): object {
  const { question, answer, startedAt, endedAt } = run;
  const input = {
    messages: [
      { role: 'system', content: FLOWISE_SECRETS.systemPrompt },
      { role: 'user', content: question },
    ],
    agentModel: 'chatOpenAI',
    agentModelConfig: modelConfig({ credential: shows.credential }),
    agentEnableMemory: true,
  };
  const output = {
    content: answer,
    timeMetadata: { start: startedAt, end: endedAt, delta: endedAt - startedAt },
    calledTools: [],
    ...(shows.usage ? { usageMetadata: usageSlot() } : {}),
  };
  const data = { id: AGENT.nodeId, name: 'agentAgentflow', input, output, state: {} };
  return { ...AGENT, data, previousNodeIds: [START.nodeId], status: 'FINISHED' };
}

function failedNode(error: string): object {
  const data = { id: AGENT.nodeId, name: 'agentAgentflow', error };
  return { ...AGENT, previousNodeIds: [START.nodeId], data, status: 'ERROR' };
}

function nodeFrame(node: typeof START, status: string): string {
  return frame('nextAgentFlow', { ...node, status });
}

function toolOf(call: NonNullable<CheckedScenario['toolCall']>, toolOutput: string): object {
  return { tool: call.name, toolInput: call.arguments, toolOutput };
}
