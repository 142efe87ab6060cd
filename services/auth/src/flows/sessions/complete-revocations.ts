import { TOLD_FOR_MS } from '../../domain/revocation.ts';
import type { Ports } from '../../ports.ts';
import type { EndedAccess } from '../../ports/revocations.ts';

type CompleteDeps = Pick<Ports, 'clock' | 'endedAccess' | 'revocations'>;

const PAGE = 2000;
/** By then whoever made a change has told it, or never will. */
const SETTLED_MS = 5000;
/** How far the clocks of our instances may be apart. */
const OVERLAP_MS = 30_000;

/**
 * Tells what was not told, because a process died or lost its database between a change and its entry: what has ended says so
 * itself. At first as far back as tokens can live, then only what is new. An entry that is there is left as it is.
 */
export function createCompleteRevocations({ clock, endedAccess, revocations }: CompleteDeps) {
  let since = clock.now() - TOLD_FOR_MS;

  async function complete(find: EndedAccess['accounts'], until: number): Promise<void> {
    let from = since;
    for (;;) {
      const ended = await find(new Date(from), new Date(until), PAGE);
      await revocations.add(
        ended.map(({ entry, at: endedAt }) => ({ ...entry, endedAt })),
        new Date(clock.now()),
      );
      const last = ended.at(-1)?.at.getTime() ?? until;
      if (ended.length < PAGE || last === from) return;
      from = last;
    }
  }

  return async function completeRevocations(): Promise<void> {
    const until = clock.now() - SETTLED_MS;
    const { accounts, sessions, members, workspaces, keys } = endedAccess;
    for (const find of [accounts, sessions, members, workspaces, keys]) await complete(find, until);
    since = until - OVERLAP_MS;
  };
}
