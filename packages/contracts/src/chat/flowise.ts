import { z } from 'zod';
import { ChatflowId } from '../ids.ts';
import { operation } from '../operation.ts';
import { AnswerUsage, BEFORE_THE_FIRST_BYTE, CHAT_BODY_BYTES, Question, Turn, Upload } from './answers.ts';
import { chatflowParams } from './chatflows.ts';
import { textOf } from '../text.ts';

const MOST_FIELDS = 100;
const LONGEST_TEXT = 20_000;
const Text = textOf({ max: LONGEST_TEXT });

/** A conversation as the client calls it: any text, which is a label within what the caller owns. */
export const ChatLabel = textOf({ min: 1, max: 200 });

const Decision = z.strictObject({ type: z.string().max(50).optional(), label: z.string().max(500).optional() });

/** The answer to buttons of an agent flow, as they came in an `action` event. */
const Action = z.strictObject({
  id: z.string().max(200).optional(),
  mapping: z
    .strictObject({
      approve: Text.optional(),
      reject: Text.optional(),
      toolCalls: z.array(z.json()).max(50).optional(),
    })
    .optional(),
  elements: z.array(Decision).max(20).optional(),
  data: z.record(z.string().max(100), z.json()).optional(),
});

/** Goes on with an agent flow that waits for a person. */
const HumanInput = z.strictObject({
  type: z.enum(['proceed', 'reject']),
  startNodeId: z.string().min(1).max(200),
  feedback: Text.nullish(),
});

const refused = z.null('is not supported here').optional();

const Prediction = z.strictObject({
  question: Question.or(z.literal('')).nullish(),
  /** The fields of an agent flow that begins with a form. */
  form: z
    .record(z.string().max(200), z.union([Text, z.number(), z.boolean(), z.null()]))
    .refine((form) => Object.keys(form).length <= MOST_FIELDS, `must have ${MOST_FIELDS} fields at most`)
    .nullish(),
  streaming: z.union([z.boolean(), z.enum(['true', 'false', ''])]).nullish(),
  chatId: ChatLabel.or(z.literal('')).nullish(),
  sessionId: ChatLabel.or(z.literal('')).nullish(),
  overrideConfig: z.record(z.string().max(100), z.json()).nullish(),
  history: z.array(Turn).max(100).nullish(),
  uploads: z.array(Upload).max(10).nullish(),
  leadEmail: textOf({ max: 254 }).nullish(),
  action: Action.nullish(),
  humanInput: HumanInput.nullish(),
  /** The path names the chatflow; both SDKs name it here too. */
  chatflowId: z.string().max(200).nullish(),
  stopNodeId: refused,
  webhook: refused,
});

/** Flowise itself asks the model nothing when it is asked nothing, and the answer to that has a price. */
const asksSomething = ({ question, form, uploads, action, humanInput }: z.output<typeof Prediction>): boolean =>
  Boolean(question || action || humanInput) || Object.keys(form ?? {}).length > 0 || (uploads ?? []).length > 0;

export const FlowisePrediction = Prediction.refine(asksSomething, { path: ['question'], message: 'must not be empty' });

const Extra = z.unknown().optional();

export const flowisePredict = operation({
  id: 'flowisePredict',
  method: 'POST',
  path: '/api/v1/prediction/:id',
  summary: 'Ask a chatflow as at a Flowise server; with `streaming` the answer comes as the events of Flowise',
  permission: 'chat:use',
  params: chatflowParams,
  body: FlowisePrediction,
  bodyLimit: CHAT_BODY_BYTES,
  answers: true,
  dialect: 'flowise',
  idempotencyKey: 'optional',
  result: z.object({
    text: z.string(),
    question: z.string(),
    chatId: z.string(),
    chatMessageId: z.string(),
    sessionId: z.string(),
    memoryType: z.string().optional(),
    sourceDocuments: Extra,
    usedTools: Extra,
    artifacts: Extra,
    fileAnnotations: Extra,
    agentReasoning: Extra,
    action: Extra,
    reasonContent: z.object({ thinking: z.string() }).optional(),
    /** JSON inside JSON, as Flowise has it. */
    followUpPrompts: z.string().optional(),
    /** What the answer cost; clients of Flowise know nothing of it and pass over it. */
    usage: AnswerUsage,
  }),
  alsoAs: ['text/event-stream'],
  errors: BEFORE_THE_FIRST_BYTE,
});

/** Both probes of a chat window: public chatflows answer anybody, the others only those who may use them. */
const probe = {
  method: 'GET',
  permission: 'public',
  callerPermission: 'chat:use',
  params: z.strictObject({ id: ChatflowId }),
  dialect: 'flowise',
  errors: ['UNAUTHENTICATED', 'NOT_FOUND', 'ORIGIN_NOT_ALLOWED'],
} as const;

export const readFlowiseStreaming = operation({
  ...probe,
  id: 'readFlowiseStreaming',
  path: '/api/v1/chatflows-streaming/:id',
  summary: 'Whether a chatflow streams, which all of them do here',
  result: z.object({ isStreaming: z.boolean() }),
});

const Switch = z.object({ status: z.boolean() });
const FileRule = z.object({ fileTypes: z.array(z.string()), maxUploadSize: z.number() });

export const readFlowiseConfig = operation({
  ...probe,
  id: 'readFlowiseConfig',
  path: '/api/v1/public-chatbotConfig/:id',
  summary:
    'How a chat window of Flowise should present the chatflow; nodes, prompts and credentials are never part of it',
  result: z.object({
    welcomeMessage: z.string().optional(),
    errorMessage: z.string().optional(),
    title: z.string().optional(),
    starterPrompts: z.record(z.string(), z.object({ prompt: z.string() })).optional(),
    chatFeedback: Switch.optional(),
    leads: Switch.extend({ name: z.boolean(), email: z.boolean(), phone: z.boolean() }).optional(),
    followUpPrompts: Switch.optional(),
    fullFileUpload: Switch.extend({ allowedUploadFileTypes: z.string().optional() }).optional(),
    uploads: z.object({
      isSpeechToTextEnabled: z.boolean(),
      isImageUploadAllowed: z.boolean(),
      isRAGFileUploadAllowed: z.boolean(),
      imgUploadSizeAndTypes: z.array(FileRule),
      fileUploadSizeAndTypes: z.array(FileRule),
    }),
    isTTSEnabled: z.boolean(),
  }),
});

export const verifyFlowiseKey = operation({
  id: 'verifyFlowiseKey',
  method: 'GET',
  path: '/api/v1/verify/apikey/:key',
  summary: 'Whether an API key counts. Asked as at a Flowise server; prefer any other call with the key in a header',
  permission: 'public',
  params: z.strictObject({ key: z.string().max(200) }),
  dialect: 'flowise',
  result: z.literal('OK'),
  errors: ['INVALID_TOKEN', 'DEPENDENCY_UNAVAILABLE'],
});
