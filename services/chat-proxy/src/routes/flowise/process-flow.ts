import type { AnswerEvent } from '../../domain/answer.ts';

interface Node {
  readonly nodeId: string;
  readonly nodeLabel: string;
  readonly previousNodeIds: readonly [];
  readonly status: string;
  readonly data: object;
}

const MOST_NODES = 200;

/**
 * The nodes of an agent flow as far as users may see them: their labels and states, under ids of our own. A chat window offers to
 * stop an answer only when it has such a list; Flowise's own holds prompts and credential ids, and is never passed on.
 */
export function createProcessFlow() {
  const nodes: Node[] = [];
  /** The whole list so far; undefined when the event is not about a node. */
  return function after({ event, data }: AnswerEvent): AnswerEvent | undefined {
    if (event !== 'nextAgentFlow') return undefined;
    const named = { nodeLabel: '', status: '', ...(data as Partial<Pick<Node, 'nodeLabel' | 'status'>>) }; // stripped to these
    const at = nodes.findLastIndex((node) => node.nodeLabel === named.nodeLabel && node.status === 'INPROGRESS');
    const place = at === -1 ? nodes.length : at;
    if (place < MOST_NODES) nodes[place] = { nodeId: `node_${place}`, previousNodeIds: [], data: {}, ...named };
    return { event: 'agentFlowExecutedData', data: [...nodes] };
  };
}
