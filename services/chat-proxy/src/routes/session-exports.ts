import { chat } from '@tollgate/contracts';
import { type Route, serve, type StreamReply, stream } from '@tollgate/http-kit';
import type { FileLinks } from '../domain/files/file-links.ts';
import type { ExportedConversation } from '../flows/conversations/export-conversations.ts';
import type { StoredMessage } from '../ports.ts';
import { messageView, type SessionFlows } from './sessions.ts';

/** Conversations as files that are written while they are read. */
export const sessionExportRoutes = ({ exported, links }: Pick<SessionFlows, 'exported' | 'links'>): Route[] => [
  serve(chat.exportSession).with(async ({ params, query }, caller) => {
    const conversation = await exported.one(caller, params.sessionId);
    return query.format === 'markdown'
      ? file('text/markdown; charset=utf-8', `conversation-${params.sessionId}.md`, markdownOf(conversation))
      : file('application/json; charset=utf-8', `conversation-${params.sessionId}.json`, jsonOf(conversation, links));
  }),
  serve(chat.exportSessions).with(({ query }, caller) => {
    const all = exported.all(caller);
    return query.format === 'json'
      ? file('application/json; charset=utf-8', 'conversations.json', jsonOfAll(all, links))
      : file('application/x-ndjson; charset=utf-8', 'conversations.ndjson', linesOf(all, links));
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

async function* jsonOf(conversation: ExportedConversation, links: FileLinks): AsyncGenerator<string> {
  yield `${JSON.stringify(headOf(conversation)).slice(0, -1)},"messages":[`;
  let separator = '';
  for await (const { messages, files } of conversation.pages) {
    for (const message of messages) {
      yield separator + JSON.stringify(messageView(message, files, links));
      separator = ',';
    }
  }
  yield ']}';
}

async function* jsonOfAll(all: AsyncIterable<ExportedConversation>, links: FileLinks): AsyncGenerator<string> {
  yield '{"conversations":[';
  let separator = '';
  for await (const conversation of all) {
    yield separator;
    yield* jsonOf(conversation, links);
    separator = ',';
  }
  yield ']}';
}

async function* linesOf(all: AsyncIterable<ExportedConversation>, links: FileLinks): AsyncGenerator<string> {
  for await (const conversation of all) {
    yield `${JSON.stringify({ type: 'session', ...headOf(conversation) })}\n`;
    for await (const { messages, files } of conversation.pages)
      for (const message of messages)
        yield `${JSON.stringify({ type: 'message', ...messageView(message, files, links) })}\n`;
  }
}

const WHO: Readonly<Record<StoredMessage['role'], string>> = { user: 'You', assistant: 'Assistant' };

async function* markdownOf(conversation: ExportedConversation): AsyncGenerator<string> {
  const { topic, chatflow_id: chatflowId, created_at: createdAt } = headOf(conversation);
  yield `# ${topic}\n\nChatflow ${chatflowId}, ${createdAt}\n`;
  for await (const { messages } of conversation.pages)
    for (const { role, status, createdAt: at, content } of messages)
      yield `\n## ${WHO[role]}, ${at.toISOString()}${status === 'completed' ? '' : ` (${status})`}\n\n${content}\n`;
}
