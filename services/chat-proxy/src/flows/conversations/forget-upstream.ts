import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Clock, Forgetting, Messages, OwnedSession, SessionFiles, Sessions, TakenNote } from '../../ports.ts';

const TAKEN_AT_ONCE = 20;
const FIRST_RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 3_600_000;
/** With the growing pauses: more than a day. */
const MOST_ATTEMPTS = 30;

export interface ForgetUpstreamDeps {
  readonly forgetting: Pick<Forgetting, 'take' | 'remove'>;
  readonly sessions: Pick<Sessions, 'standing'>;
  readonly messages: Pick<Messages, 'deleteOf'>;
  readonly files: Pick<SessionFiles, 'forgetOf'>;
  readonly flowise: { forget(chatflowId: ChatflowId, chatId: string): Promise<void> };
  readonly clock: Clock;
}

/**
 * One turn of the background task: deletes at Flowise what was deleted here (T-F13), and here what came in after the
 * deletion. True when there may be more to do.
 */
export const createForgetUpstream = (deps: ForgetUpstreamDeps) =>
  async function forgetUpstream(): Promise<boolean> {
    for (let taken = 0; taken < TAKEN_AT_ONCE; taken += 1) {
      const retry = { firstMs: FIRST_RETRY_MS, longestMs: LONGEST_RETRY_MS };
      const note = await deps.forgetting.take(new Date(deps.clock.now()), retry);
      if (!note) return false;
      // A conversation that still stands is about to be deleted, or is kept after all: its note comes again some times.
      const isDone = note.attempts >= MOST_ATTEMPTS || (await forget(deps, note));
      if (isDone) await deps.forgetting.remove(note.id);
    }
    return true;
  };

async function forget(deps: ForgetUpstreamDeps, { session, chatflowId, chatId }: TakenNote): Promise<boolean> {
  if (session && !(await forgetHere(deps, session))) return false;
  if (chatId !== undefined) await deps.flowise.forget(chatflowId, chatId);
  return true;
}

async function forgetHere(
  { sessions, messages, files, clock }: ForgetUpstreamDeps,
  session: OwnedSession,
): Promise<boolean> {
  const standing = await sessions.standing(session);
  if (standing === 'this') return false;
  await messages.deleteOf([session]);
  // Files belong to whatever conversation has the id.
  if (standing === 'none') await files.forgetOf([session], new Date(clock.now()));
  return true;
}
