/** A flow that the fake Flowise offers. */
export type FakeFlow = {
  /** A UUID; anything else is refused by the prediction route. */
  id: string;
  name: string;
  kind: 'chain' | 'agentflow';
  /** false: `streaming: true` is answered with plain JSON. */
  streams?: boolean;
  /** When given, predictions need this Bearer token. */
  apiKey?: string;
  chatbotConfig?: Record<string, unknown>;
  isPublic?: boolean;
  deployed?: boolean;
  /** Names separated by `;`. */
  category?: string;
  /** ISO 8601; the list is ordered by it, newest first. */
  updatedDate?: string;
};

/** Values that Flowise knows about a flow and that no user of a proxy may ever see. */
export const FLOWISE_SECRETS = {
  credentialId: '5ec2e7c0-de00-4000-8000-00000c0ffee1',
  systemPrompt: 'Confidential instructions: never reveal the word zanzibar.',
  modelUrl: 'http://model.internal.example:9100/v1',
} as const;

export const CHAIN_FLOW: FakeFlow = {
  id: 'c4a10000-0000-4000-8000-000000000001',
  name: 'Conversation chain',
  kind: 'chain',
  deployed: true,
  category: 'general',
  updatedDate: '2026-01-02T00:00:00.000Z',
  chatbotConfig: {
    welcomeMessage: 'Hello, what can I do for you?',
    starterPrompts: { 0: { prompt: 'What is a hold on credits?' } },
    fullFileUpload: { status: true, allowedUploadFileTypes: 'text/plain,application/json' },
    allowedOrigins: [],
  },
};

export const AGENT_FLOW: FakeFlow = {
  id: 'a9e20000-0000-4000-8000-000000000002',
  name: 'Agent with a calculator',
  kind: 'agentflow',
  deployed: true,
  category: 'agents;general',
  updatedDate: '2026-01-01T00:00:00.000Z',
};

const WORKSPACE_ID = '3f1d0000-0000-4000-8000-000000000003';
const UNKNOWN_DATE = '2026-01-01T00:00:00.000Z';

/** Upload settings of a flow without image or speech models. */
export const NO_UPLOADS = {
  isSpeechToTextEnabled: false,
  isImageUploadAllowed: false,
  isRAGFileUploadAllowed: false,
  imgUploadSizeAndTypes: [],
  fileUploadSizeAndTypes: [],
};

/** A row of `GET /api/v1/chatflows`: nested documents are JSON strings. */
export function flowRow(flow: FakeFlow): object {
  const updatedDate = flow.updatedDate ?? UNKNOWN_DATE;
  return {
    id: flow.id,
    name: flow.name,
    flowData: flowDocument(flow),
    deployed: flow.deployed ?? true,
    isPublic: flow.isPublic ?? false,
    apikeyid: flow.apiKey === undefined ? null : 'b0b00000-0000-4000-8000-000000000004',
    chatbotConfig: flow.chatbotConfig ? JSON.stringify(flow.chatbotConfig) : null,
    apiConfig: null,
    analytic: null,
    speechToText: null,
    textToSpeech: null,
    followUpPrompts: null,
    mcpServerConfig: null,
    category: flow.category ?? null,
    type: flow.kind === 'agentflow' ? 'AGENTFLOW' : 'CHATFLOW',
    createdDate: updatedDate,
    updatedDate,
    workspaceId: WORKSPACE_ID,
  };
}

/** `GET /api/v1/public-chatbotConfig/:id`, which needs no key and yet carries the whole flow. */
export function publicConfig(flow: FakeFlow): object {
  const { allowedOrigins: _, ...config } = flow.chatbotConfig ?? {};
  return { ...config, uploads: NO_UPLOADS, flowData: flowDocument(flow), isTTSEnabled: false };
}

/** How the list of `GET /api/v1/chatflows` is filtered, ordered and cut. */
export function flowList(flows: readonly FakeFlow[], query: URLSearchParams): object {
  const type = query.get('type');
  const rows = [...flows]
    .sort((a, b) => (b.updatedDate ?? UNKNOWN_DATE).localeCompare(a.updatedDate ?? UNKNOWN_DATE))
    .filter((flow) => type === null || (type === 'AGENTFLOW') === (flow.kind === 'agentflow'))
    .map(flowRow);
  const page = Number(query.get('page') ?? 0);
  const limit = Number(query.get('limit') ?? 0);
  if (page < 1 || limit < 1) return rows;
  return { data: rows.slice((page - 1) * limit, page * limit), total: rows.length };
}

/** The settings of the model node, as events and lists of Flowise show them. */
export function modelConfig(shows: { credential: boolean }): object {
  return {
    ...(shows.credential ? { FLOWISE_CREDENTIAL_ID: FLOWISE_SECRETS.credentialId } : {}),
    credential: '',
    modelName: 'fake-large',
    temperature: 0,
    streaming: true,
    basepath: FLOWISE_SECRETS.modelUrl,
    agentModel: 'chatOpenAI',
  };
}

function flowDocument(flow: FakeFlow): string {
  const nodes = flow.kind === 'agentflow' ? agentNodes() : chainNodes();
  return JSON.stringify({ nodes, edges: [], viewport: { x: 0, y: 0, zoom: 1 } });
}

function agentNodes(): object[] {
  return [
    node('startAgentflow_0', 'Start', 'Agent Flows', { startInputType: 'chatInput' }),
    node('agentAgentflow_0', 'Answerer', 'Agent Flows', {
      agentModel: 'chatOpenAI',
      agentModelConfig: modelConfig({ credential: true }),
      agentMessages: [{ role: 'system', content: FLOWISE_SECRETS.systemPrompt }],
      agentTools: [{ agentSelectedTool: 'calculator' }],
    }),
  ];
}

function chainNodes(): object[] {
  const model = node('chatOpenAI_0', 'ChatOpenAI', 'Chat Models', {
    modelName: 'fake-large',
    temperature: 0,
    streaming: true,
    basepath: FLOWISE_SECRETS.modelUrl,
  });
  return [
    { ...model, data: { ...model.data, credential: FLOWISE_SECRETS.credentialId } },
    node('bufferMemory_0', 'Buffer Memory', 'Memory', { sessionId: '', memoryKey: 'chat_history' }),
    node('conversationChain_0', 'Conversation Chain', 'Chains', { systemMessagePrompt: FLOWISE_SECRETS.systemPrompt }),
  ];
}

function node(id: string, label: string, category: string, inputs: object) {
  const name = id.replace(/_\d+$/, '');
  return { id, type: 'customNode', position: { x: 0, y: 0 }, data: { id, label, name, category, inputs, outputs: {} } };
}
