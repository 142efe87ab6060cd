import type { AnswerEvent } from '../../domain/answer.ts';
import { fieldsOf, listOf } from '../upstream/reported-usage.ts';

/*
 * What of Flowise's events a user may see. Frames carry system prompts, model addresses and credential ids, so that every
 * field that is passed on is named here; events that are not named do not exist.
 */

const LONGEST_TEXT = 100_000;
const MOST_ITEMS = 50;

type Strip = (data: unknown) => unknown;

const text: Strip = (data) => (typeof data === 'string' ? data.slice(0, LONGEST_TEXT) : undefined);
const scalar: Strip = (data) => (typeof data === 'number' || typeof data === 'boolean' ? data : text(data));

/** An object with only the named fields, each stripped in its turn. */
const only =
  (fields: Readonly<Record<string, Strip>>): Strip =>
  (data) =>
    Object.fromEntries(
      Object.entries(fields).flatMap(([name, strip]) => {
        const value = strip(fieldsOf(data)[name]);
        return value === undefined ? [] : [[name, value]];
      }),
    );

const each =
  (strip: Strip): Strip =>
  (data) =>
    Array.isArray(data) ? listOf(data).slice(0, MOST_ITEMS).map(strip) : undefined;

/** Plain values only: nested objects are where loaders keep their paths and addresses. */
const scalars: Strip = (data) =>
  Object.fromEntries(
    Object.entries(fieldsOf(data))
      .filter(([, value]) => value !== null && typeof value !== 'object')
      .slice(0, MOST_ITEMS)
      .map(([name, value]) => [name, scalar(value)]),
  );

/** Flowise notes its own id of a conversation with what was uploaded in it. */
const metadata: Strip = (data) =>
  scalars(Object.fromEntries(Object.entries(fieldsOf(data)).filter(([name]) => !name.startsWith('flowise_'))));

const documents = each(only({ pageContent: text, metadata }));
const tools = each(only({ tool: text, toolInput: (data) => scalars(data), toolOutput: text, error: () => undefined }));

const SHOWN: Readonly<Record<string, Strip>> = {
  start: text,
  sourceDocuments: documents,
  usedTools: tools,
  fileAnnotations: each(only({ fileName: text })),
  artifacts: each(only({ type: text, data: text })),
  agentReasoning: each(
    only({ agentName: text, messages: each(text), next: text, usedTools: tools, sourceDocuments: documents }),
  ),
  nextAgent: text,
  agentFlowEvent: text,
  nextAgentFlow: only({ nodeLabel: text, status: text }),
  action: only({
    id: text,
    mapping: only({ approve: text, reject: text }),
    elements: each(only({ type: text, label: text })),
    data: only({ nodeId: text, nodeLabel: text, input: text }),
  }),
  metadata: only({ question: text, memoryType: text, followUpPrompts: followUps }),
};

/** The event as a user may see it; undefined for one that is not shown. */
export function shownEvent(event: string, data: unknown): AnswerEvent | undefined {
  const strip = Object.hasOwn(SHOWN, event) ? SHOWN[event] : undefined;
  const shown = strip?.(data);
  return shown === undefined ? undefined : { event, data: shown };
}

/** A list, or (in an answer in one piece) the JSON of a list. */
function followUps(data: unknown): unknown {
  const prompts = each(text);
  if (typeof data !== 'string') return prompts(data);
  try {
    return prompts(JSON.parse(data));
  } catch {
    return undefined;
  }
}
