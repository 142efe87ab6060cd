import { chat } from '@tollgate/contracts';
import { type Route, serve, type UserCaller } from '@tollgate/http-kit';
import { type Chatflow, isPublic, uploadsOf } from '../domain/chatflow.ts';
import type { createReadChatflows } from '../flows/chatflows/read-chatflows.ts';

export const chatflowRoutes = (flows: ReturnType<typeof createReadChatflows>): Route[] => {
  const list = async (_: unknown, caller: UserCaller) => (await flows.listFor(caller)).map(wholeLineOf);
  return [
    serve(chat.listChatflows).with(list),
    serve(chat.listChatflowsSlash).with(list),
    serve(chat.listMyChatflows).with(async (_, caller) =>
      (await flows.assignedTo(caller)).map(({ chatflow, assignedAt }) => ({
        ...lineOf(chatflow),
        category: chatflow.category,
        type: chatflow.type,
        deployed: chatflow.deployed,
        assigned_at: assignedAt.toISOString(),
      })),
    ),
    serve(chat.listMyAssignedChatflows).with(async (_, caller) => {
      const ids = (await flows.assignedTo(caller)).map(({ chatflow }) => chatflow.id);
      return { assigned_chatflow_ids: ids, count: ids.length };
    }),
    serve(chat.readChatflow).with(async ({ params }, caller, { headers }) => {
      const chatflow = await flows.findFor(caller, params.id, headers['origin']);
      const line = wholeLineOf(chatflow);
      return { ...line, created: line.createdDate, updated: line.updatedDate };
    }),
    serve(chat.readChatflowConfig).with(async ({ params }, caller, { headers }) => {
      const chatflow = await flows.findFor(caller, params.id, headers['origin']);
      return { ...chatflow.config, uploads: uploadsOf(chatflow) };
    }),
  ];
};

const lineOf = (chatflow: Chatflow) => ({
  id: chatflow.id,
  name: chatflow.name,
  description: chatflow.description,
  is_public: isPublic(chatflow),
});

/** For clients of ours and for those of Flowise, who ask at the same address. */
const wholeLineOf = (chatflow: Chatflow) => ({
  ...lineOf(chatflow),
  isPublic: isPublic(chatflow),
  deployed: chatflow.deployed,
  category: chatflow.category,
  type: chatflow.type,
  createdDate: chatflow.createdAt?.toISOString() ?? null,
  updatedDate: chatflow.updatedAt?.toISOString() ?? null,
});
