import { AppError } from '@tollgate/http-kit';
import { toCursor } from '../../domain/cursor.ts';
import type { UserId } from '../../domain/wire-types.ts';
import type { Clock, Messages, Owner, Session, SessionPage, Sessions } from '../../ports.ts';

/** Conversations that are looked through at once; fewer when the database takes too long for them. */
const AT_ONCE = 100;
const FEWER = 10;
/** What one request may cost. */
const MOST_SEARCHED = 1000;
const LONGEST_MS = 3000;
/** Of one user in this process: others want connections to the database, too. */
const MOST_OF_ONE = 2;
const RETRY_AFTER_SECONDS = 1;

export interface SearchDeps {
  readonly sessions: Pick<Sessions, 'list'>;
  readonly messages: Pick<Messages, 'sessionsWith'>;
  readonly clock: Clock;
}

export interface SessionList {
  readonly sessions: Session[];
  readonly nextCursor: string | null;
}

/** Own conversations with a text in their title or their messages; what the request may not cost is left to the next page. */
export function createSearchConversations(deps: SearchDeps) {
  const running = new Map<UserId, number>();
  return async function search(owner: Owner, text: string, page: SessionPage): Promise<SessionList> {
    const { userId } = owner;
    const others = running.get(userId) ?? 0;
    if (others >= MOST_OF_ONE) throw tooMany();
    running.set(userId, others + 1);
    try {
      return await searchThrough(deps, owner, text, page);
    } finally {
      const left = (running.get(userId) ?? 1) - 1;
      if (left > 0) running.set(userId, left);
      else running.delete(userId);
    }
  };
}

const tooMany = (): AppError =>
  new AppError('RATE_LIMITED', 'Another search is under way', {
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  });

async function searchThrough(
  { sessions, messages, clock }: SearchDeps,
  owner: Owner,
  text: string,
  page: SessionPage,
): Promise<SessionList> {
  const wanted = text.toLowerCase();
  const until = clock.now() + LONGEST_MS;
  const found: Session[] = [];
  let { cursor } = page;
  let atOnce = AT_ONCE;
  for (let searched = 0; searched < MOST_SEARCHED && clock.now() < until; ) {
    const { sessions: some, nextCursor } = await sessions.list(owner, { ...page, cursor, limit: atOnce });
    const byText = await messages.sessionsWith(text, some);
    if (byText === 'too-much' && atOnce > 1) {
      atOnce = Math.floor(atOnce / FEWER);
      continue;
    }
    const has = (session: Session): boolean =>
      session.topic.toLowerCase().includes(wanted) || (byText !== 'too-much' && byText.has(session.id));
    found.push(...some.filter(has));
    const last = found[page.limit - 1];
    if (last && (found.length > page.limit || nextCursor !== null || last !== some.at(-1)))
      return { sessions: found.slice(0, page.limit), nextCursor: toCursor(last.lastAt, last.id) };
    if (nextCursor === null) return { sessions: found, nextCursor };
    cursor = nextCursor;
    searched += some.length;
  }
  return { sessions: found, nextCursor: cursor ?? null };
}
