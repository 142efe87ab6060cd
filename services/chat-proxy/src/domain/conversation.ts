import { SessionId } from '@tollgate/contracts';
import type { Chatflow } from './chatflow.ts';

const TOPIC_CHARACTERS = 80;
/** Bytes of earlier messages that go to a model; the newest ones stay. */
const LONGEST_HISTORY = 200_000;

/** An unstored conversation is forgotten after this time, and sooner where nothing may be kept. */
const UNSTORED_MS = 30 * 86_400_000;
const NOTHING_KEPT_MS = 86_400_000;

/** When a conversation that begins now is forgotten, should no message be stored in it. */
export const forgetAt = ({ storage }: Pick<Chatflow, 'storage'>, now: Date): Date =>
  new Date(now.getTime() + (storage.keeps === 'nothing' ? NOTHING_KEPT_MS : UNSTORED_MS));

export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** `new` for nothing or an empty text; `invalid` for anything that is no UUID. */
export function sessionIdFrom(text: string | null | undefined): SessionId | 'new' | 'invalid' {
  if (!text) return 'new';
  const parsed = SessionId.safeParse(text);
  return parsed.success ? parsed.data : 'invalid';
}

/** The first line of the first question, shortened at a word. */
export function topicOf(question: string): string {
  const line = question.trim().split(/[\r\n]/, 1)[0] ?? '';
  const characters = [...line];
  if (characters.length <= TOPIC_CHARACTERS) return line;
  const cut = characters.slice(0, TOPIC_CHARACTERS).join('');
  return `${cut.slice(0, cut.lastIndexOf(' ') > TOPIC_CHARACTERS / 2 ? cut.lastIndexOf(' ') : undefined)}…`;
}

/** The newest turns that fit. */
export function recentTurns(turns: readonly Turn[]): Turn[] {
  let bytes = 0;
  const kept = turns.toReversed().filter(({ content }) => (bytes += Buffer.byteLength(content)) <= LONGEST_HISTORY);
  return kept.reverse();
}
