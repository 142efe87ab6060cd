import { chat } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { createDeleteConversations } from '../flows/conversations/delete-conversations.ts';
import type { createExportConversations } from '../flows/conversations/export-conversations.ts';
import type { createReadConversations } from '../flows/conversations/read-conversations.ts';
import type { FileLinks } from '../domain/files/file-links.ts';
import { uploadView } from './files.ts';
import type { FileId } from '../domain/wire-types.ts';
import type { Session, StoredFile, StoredMessage } from '../ports.ts';

export interface SessionFlows {
  readonly read: ReturnType<typeof createReadConversations>;
  readonly links: FileLinks;
  readonly remove: ReturnType<typeof createDeleteConversations>;
  readonly exported: ReturnType<typeof createExportConversations>;
}

export const sessionRoutes = ({ read, remove, links }: SessionFlows): Route[] => [
  serve(chat.listSessions).with(async ({ query }, caller) => {
    const { q, chatflow_id: chatflowId, ...rest } = query;
    const page = { ...rest, chatflowId };
    const { sessions, nextCursor } = await (q === undefined ? read.list(caller, page) : read.search(caller, q, page));
    return { sessions: sessions.map(sessionView), count: sessions.length, next_cursor: nextCursor };
  }),
  serve(chat.renameSession).with(async ({ params, body }, caller) =>
    sessionView(await read.rename(caller, params.sessionId, body.title)),
  ),
  serve(chat.readHistory).with(async ({ params, query }, caller) => {
    const { messages, nextCursor, files } = await read.history(caller, params.sessionId, query);
    return {
      history: messages.map((message) => messageView(message, files, links)),
      count: messages.length,
      next_cursor: nextCursor,
    };
  }),
  serve(chat.deleteSession).with(async ({ params }, caller) => ({
    messages_deleted: await remove.one(caller, params.sessionId),
    message: 'Chat session deleted successfully',
    session_id: params.sessionId,
    user_id: caller.userId,
  })),
  serve(chat.deleteHistory).with(async (_, caller) => {
    const deleted = await remove.all(caller);
    return {
      message: 'Chat history deleted successfully',
      sessions_deleted: deleted.sessions,
      messages_deleted: deleted.messages,
      user_id: caller.userId,
    };
  }),
];

const sessionView = ({ id, chatflowId, topic, createdAt, firstMessage }: Session) => ({
  session_id: id,
  chatflow_id: chatflowId,
  topic,
  created_at: createdAt.toISOString(),
  first_message: firstMessage,
});

/** A message with its files, as history and exports show it. */
export function messageView(message: StoredMessage, files: ReadonlyMap<FileId, StoredFile>, links: FileLinks) {
  const found = message.fileIds.flatMap((id) => [files.get(id)].filter((file) => file !== undefined));
  const uploads = found.map((file) => uploadView(file, links));
  return {
    id: message.id,
    role: message.role,
    content: message.content,
    created_at: message.createdAt.toISOString(),
    session_id: message.sessionId,
    file_ids: uploads.map(({ file_id }) => file_id),
    has_files: uploads.length > 0,
    uploads,
    status: message.status,
    credits: message.credits,
    usage: message.usage && {
      input_tokens: message.usage.inputTokens,
      output_tokens: message.usage.outputTokens,
      estimated: message.usage.estimated,
    },
    request_id: message.requestId,
    events: [...message.events],
  };
}
