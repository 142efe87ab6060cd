import type { ForgetNote, Forgetting, KeptAnswers, Messages, Session, SessionFiles, Sessions } from '../../ports.ts';

/** By then a flow whose client has left has come to its end, and what it stored at last can be deleted as well. */
export const LATE_MS = 15 * 60_000;

export interface EraseDeps {
  readonly sessions: Pick<Sessions, 'delete'>;
  readonly messages: Pick<Messages, 'deleteOf'>;
  readonly forgetting: Pick<Forgetting, 'add'>;
  readonly files: Pick<SessionFiles, 'forgetOf'>;
  readonly keptAnswers: Pick<KeptAnswers, 'forgetOf'>;
}

export interface Erased {
  readonly sessions: number;
  readonly messages: number;
}

/**
 * Deletes conversations with messages and files, and notes that they are to be deleted at their upstream. The notes come
 * first: a process that dies on the way has promised the rest. Where an answer runs, or has run lately, a second note deletes
 * later what comes in after the first.
 */
export async function erase(
  { sessions, messages, forgetting, files, keptAnswers }: EraseDeps,
  found: readonly Session[],
  { now, unlessAnswering = false }: { now: number; unlessAnswering?: boolean },
): Promise<Erased> {
  const at = new Date(now);
  await forgetting.add(found.flatMap((session) => notesOf(session, at)));
  const deletions = found.map((session) => sessions.delete(session, unlessAnswering ? { now: at } : undefined));
  const deleted = (await Promise.all(deletions)).filter((session) => session !== undefined);
  if (deleted.length === 0) return { sessions: 0, messages: 0 };
  const unsettled = deleted.filter((session) => isUnsettled(session, now));
  await forgetting.add(unsettled.flatMap((session) => notesOf(session, new Date(now + LATE_MS))));
  await files.forgetOf(deleted, at);
  // Before the messages, by which they are found.
  await keptAnswers.forgetOf(deleted);
  return { sessions: deleted.length, messages: await messages.deleteOf(deleted) };
}

/** What is to be deleted of one conversation, slot by slot at the upstream. */
function notesOf({ id, upstreamMemoryId, userId, chatflowId, upstreamChatIds }: Session, at: Date): ForgetNote[] {
  const note = { chatflowId, session: { id, upstreamMemoryId, userId }, at };
  // A model keeps nothing.
  return chatflowId.startsWith('model:') ? [note] : upstreamChatIds.map((chatId) => ({ ...note, chatId }));
}

const isUnsettled = ({ lastAt, answersUntil }: Session, now: number): boolean =>
  lastAt.getTime() > now - LATE_MS || (answersUntil !== undefined && answersUntil.getTime() > now);
