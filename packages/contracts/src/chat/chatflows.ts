import { z } from 'zod';
import { ChatflowId, Timestamp } from '../ids.ts';
import { operation } from '../operation.ts';

export const chatflowParams = z.strictObject({ id: ChatflowId });

const ChatflowLine = z.object({
  id: ChatflowId,
  name: z.string(),
  description: z.string().nullable(),
  is_public: z.boolean(),
});

/** The same facts under the names that Flowise gives them; of what else it lists, nothing leaves. */
const FlowiseNames = z.object({
  isPublic: z.boolean(),
  deployed: z.boolean(),
  category: z.string().nullable(),
  type: z.string(),
  createdDate: Timestamp.nullable(),
  updatedDate: Timestamp.nullable(),
});

const list = {
  method: 'GET',
  summary: 'Chatflows the caller may use: public ones and assigned ones',
  permission: 'chatflows:read',
  result: z.array(ChatflowLine.extend(FlowiseNames.shape)),
} as const;

export const listChatflows = operation({ ...list, id: 'listChatflows', path: '/api/v1/chatflows' });
/** Older clients ask with a slash at the end. */
export const listChatflowsSlash = operation({ ...list, id: 'listChatflowsSlash', path: '/api/v1/chatflows/' });

export const listMyChatflows = operation({
  id: 'listMyChatflows',
  method: 'GET',
  path: '/api/v1/chatflows/my-chatflows',
  summary: 'Chatflows that are assigned to the caller',
  permission: 'chatflows:read',
  result: z.array(
    ChatflowLine.pick({ id: true, name: true, description: true }).extend({
      category: z.string().nullable(),
      type: z.string(),
      deployed: z.boolean(),
      assigned_at: Timestamp,
    }),
  ),
});

export const listMyAssignedChatflows = operation({
  id: 'listMyAssignedChatflows',
  method: 'GET',
  path: '/api/v1/chat/my-assigned-chatflows',
  summary: 'Ids of the chatflows that are assigned to the caller',
  permission: 'chatflows:read',
  result: z.object({ assigned_chatflow_ids: z.array(ChatflowId), count: z.int() }),
});

export const readChatflow = operation({
  id: 'readChatflow',
  method: 'GET',
  path: '/api/v1/chatflows/:id',
  summary: 'One chatflow the caller may use',
  permission: 'chatflows:read',
  params: chatflowParams,
  result: ChatflowLine.extend(FlowiseNames.shape).extend({
    created: Timestamp.nullable(),
    updated: Timestamp.nullable(),
  }),
  errors: ['NOT_FOUND', 'ORIGIN_NOT_ALLOWED'],
});

/** What a chat window needs to know of a flow; prompts, nodes and credentials are never part of it. */
export const ChatflowConfig = z.object({
  welcomeMessage: z.string().optional(),
  errorMessage: z.string().optional(),
  title: z.string().optional(),
  starterPrompts: z.array(z.string()).optional(),
  chatFeedback: z.boolean().optional(),
  leads: z.boolean().optional(),
  followUpPrompts: z.boolean().optional(),
  fullFileUpload: z.boolean().optional(),
  allowedUploadFileTypes: z.string().optional(),
  /** Answers can be read aloud. */
  textToSpeech: z.boolean().optional(),
});
export type ChatflowConfig = z.infer<typeof ChatflowConfig>;

/** Which kinds of files a chatflow takes. */
export const UploadRules = z.object({ images: z.boolean(), files: z.boolean(), audio: z.boolean() });

export const readChatflowConfig = operation({
  id: 'readChatflowConfig',
  method: 'GET',
  path: '/api/v1/chatflows/:id/config',
  summary: 'How a chat window should present the chatflow',
  permission: 'chatflows:read',
  params: chatflowParams,
  result: ChatflowConfig.extend({ uploads: UploadRules }),
  errors: ['NOT_FOUND', 'ORIGIN_NOT_ALLOWED'],
});
