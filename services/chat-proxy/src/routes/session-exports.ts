import { chat } from '@tollgate/contracts';
import { type Route, serve, type StreamReply, stream } from '@tollgate/http-kit';
import type { createExportConversations, ExportedConversation } from '../flows/conversations/export-conversations.ts';
import type { StoredMessage } from '../ports.ts';
import { messageView } from './sessions.ts';

/** Conversations as files that are written while they are read. */
export const sessionExportRoutes = (exported: ReturnType<typeof createExportConversations>): Route[] => [
  serve(chat.exportSession).with(async ({ params, query }, caller) => {
    const conversation = await exported.one(caller, params.sessionId);
    return query.format === 'markdown'
      ? file('text/markdown; charset=utf-8', `conversation-${params.sessionId}.md`, markdownOf(conversation))
      : file('application/json; charset=utf-8', `conversation-${params.sessionId}.json`, jsonOf(conversation));
  }),
  serve(chat.exportSessions).with(({ query }, caller) => {
    const all = exported.all(caller);
    return query.format === 'json'
      ? file('application/json; charset=utf-8', 'conversations.json', jsonOfAll(all))
      : file('application/x-ndjson; charset=utf-8', 'conversations.ndjson', linesOf(all));
  }),
];

const file = (contentType: string, name: string, chunks: AsyncIterable<string>): StreamReply =>
  stream(contentType, chunks, {
    headers: { 'content-disposition': `attachment; filename="${name}"`, 'cache-control': 'no-store' },
  });

const headOf = ({ session }: ExportedConversation) => ({
  session_id: session.id,
  chatflow_id: session.chatflowId,
  topic: session.topic,
  created_at: session.createdAt.toISOString(),
  last_used_at: session.lastAt.toISOString(),
});

async function* jsonOf(conversation: ExportedConversation): AsyncGenerator<string> {
  yield `${JSON.stringify(headOf(conversation)).slice(0, -1)},"messages":[`;
  let separator = '';
  for await (const message of conversation.messages) {
    yield separator + JSON.stringify(messageView(message));
    separator = ',';
  }
  yield ']}';
}

async function* jsonOfAll(all: AsyncIterable<ExportedConversation>): AsyncGenerator<string> {
  yield '{"conversations":[';
  let separator = '';
  for await (const conversation of all) {
    yield separator;
    yield* jsonOf(conversation);
    separator = ',';
  }
  yield ']}';
}

async function* linesOf(all: AsyncIterable<ExportedConversation>): AsyncGenerator<string> {
  for await (const conversation of all) {
    yield `${JSON.stringify({ type: 'session', ...headOf(conversation) })}\n`;
    for await (const message of conversation.messages)
      yield `${JSON.stringify({ type: 'message', ...messageView(message) })}\n`;
  }
}

const WHO: Readonly<Record<StoredMessage['role'], string>> = { user: 'You', assistant: 'Assistant' };

async function* markdownOf(conversation: ExportedConversation): AsyncGenerator<string> {
  const { topic, chatflow_id: chatflowId, created_at: createdAt } = headOf(conversation);
  yield `# ${topic}\n\nChatflow ${chatflowId}, ${createdAt}\n`;
  for await (const { role, status, createdAt: at, content } of conversation.messages)
    yield `\n## ${WHO[role]}, ${at.toISOString()}${status === 'completed' ? '' : ` (${status})`}\n\n${content}\n`;
}
