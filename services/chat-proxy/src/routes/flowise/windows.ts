import { chat } from '@tollgate/contracts';
import { AppError, type Caller, type Handler, type Route, serve } from '@tollgate/http-kit';
import { type Chatflow, uploadsOf } from '../../domain/chatflow.ts';
import type { Owner } from '../../ports.ts';
import type { FindWindow } from '../../flows/flowise/find-window.ts';
import type { createLeaveLead } from '../../flows/flowise/leave-lead.ts';

export interface FlowiseWindowFlows {
  readonly findWindow: FindWindow;
  readonly leaveLead: ReturnType<typeof createLeaveLead>;
  readonly isKey: (key: string, ip: string) => Promise<boolean>;
}

/** What a chat window asks before anybody has said anything. */
export const flowiseWindowRoutes = ({ findWindow, leaveLead, isKey }: FlowiseWindowFlows): Route[] => [
  serve(chat.readFlowiseStreaming).with(async ({ params }, caller, { headers }) => {
    await findWindow(ownerOf(caller), params.id, headers['origin']);
    return { isStreaming: true };
  }),
  serve(chat.readFlowiseConfig).with(async ({ params }, caller, { headers }) =>
    configOf(await findWindow(ownerOf(caller), params.id, headers['origin'])),
  ),
  serve(chat.leaveFlowiseLead).with(lead(leaveLead)),
  serve(chat.leaveFlowiseLeadSlash).with(lead(leaveLead)),
  serve(chat.verifyFlowiseKey).with(async ({ params }, _caller, { ip }) => {
    if (!(await isKey(params.key, ip))) throw new AppError('INVALID_TOKEN');
    return 'OK' as const;
  }),
];

const ownerOf = (caller: Caller | undefined): Owner | undefined => (caller?.kind === 'user' ? caller : undefined);

const MEGABYTES_OF_A_FILE = 10;
const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];

/** In Flowise's own words. Nodes, prompts and credentials are not even known here. */
function configOf(chatflow: Chatflow) {
  const {
    starterPrompts,
    chatFeedback,
    leads,
    followUpPrompts,
    fullFileUpload,
    allowedUploadFileTypes,
    textToSpeech = false,
    ...texts
  } = chatflow.config ?? {};
  const { images, files, audio } = uploadsOf(chatflow);
  const prompts = starterPrompts?.map((prompt, at) => [String(at), { prompt }] as const);
  return {
    ...texts,
    ...(prompts && { starterPrompts: Object.fromEntries(prompts) }),
    ...(chatFeedback !== undefined && { chatFeedback: { status: chatFeedback } }),
    ...(leads !== undefined && { leads: { status: leads, name: leads, email: leads, phone: leads } }),
    ...(followUpPrompts !== undefined && { followUpPrompts: { status: followUpPrompts } }),
    ...(fullFileUpload !== undefined && {
      fullFileUpload: { status: files, ...(allowedUploadFileTypes !== undefined && { allowedUploadFileTypes }) },
    }),
    uploads: {
      isSpeechToTextEnabled: audio,
      isImageUploadAllowed: images,
      isRAGFileUploadAllowed: false,
      imgUploadSizeAndTypes: images ? [{ fileTypes: IMAGE_TYPES, maxUploadSize: MEGABYTES_OF_A_FILE }] : [],
      fileUploadSizeAndTypes: [],
    },
    isTTSEnabled: textToSpeech,
  };
}

type LeadHandler = Handler<typeof chat.leaveFlowiseLead> & Handler<typeof chat.leaveFlowiseLeadSlash>;

const lead =
  (leaveLead: FlowiseWindowFlows['leaveLead']): LeadHandler =>
  async ({ body }, caller, { headers }) => {
    const { chatflowid: chatflowId, chatId, name, email, phone } = body;
    const said = { chatflowId, chatId, name: name || null, email: email || null, phone: phone || null };
    const { id, createdAt } = await leaveLead(ownerOf(caller), said, headers['origin']);
    return { ...said, id, chatflowid: chatflowId, createdDate: createdAt.toISOString() };
  };
