import type { ChatflowId, HoldId, SessionId, UserId } from '../domain/wire-types.ts';
import type { PendingTurn, Session, UnfinishedSession } from '../ports.ts';

export interface SessionRow {
  readonly _id: SessionId;
  readonly user_id: UserId;
  /** Absent in the default workspace, and in conversations from before there were workspaces. */
  readonly workspace_id?: string;
  readonly chatflow_id: ChatflowId;
  /** Another id by which its client looks for it: the last one that came with a question. */
  readonly alias?: SessionId;
  readonly created_at: Date;
  readonly last_at: Date;
  readonly topic: string;
  readonly first_message: string;
  readonly message_count: number;
  /** Random, so that nobody can guess a conversation's memory at the upstream (T-F6). */
  readonly memory_id: string;
  readonly chat_ids: string[];
  /** The answer that runs in this session, and until when it is believed to. */
  readonly lease_id?: HoldId;
  readonly lease_until?: Date;
  readonly pending?: PendingRow;
  /** While no message is stored: when it is forgotten. */
  readonly forget_at?: Date;
  /** The same in older rows, which the database deletes by itself. */
  readonly expires_at?: Date;
}

interface PendingRow {
  readonly question_id: string;
  readonly answer_id: string;
  readonly question: string;
  readonly at: Date;
}

export const pendingRowOf = ({ questionId, answerId, question, at }: Omit<PendingTurn, 'requestId'>): PendingRow => ({
  question_id: questionId,
  answer_id: answerId,
  question,
  at,
});

export const sessionOf = (row: SessionRow): Session => ({
  id: row._id,
  userId: row.user_id,
  chatflowId: row.chatflow_id,
  topic: row.topic,
  firstMessage: row.first_message,
  createdAt: row.created_at,
  lastAt: row.last_at,
  ...(row.lease_until && { answersUntil: row.lease_until }),
  upstreamChatIds: row.chat_ids,
  upstreamMemoryId: row.memory_id,
  messageCount: row.message_count,
});

export function unfinishedOf(row: SessionRow): UnfinishedSession | undefined {
  const { pending, lease_id: requestId } = row;
  if (!pending || requestId === undefined) return undefined;
  const { question_id: questionId, answer_id: answerId, question, at } = pending;
  return { session: sessionOf(row), pending: { questionId, answerId, requestId, question, at } };
}
