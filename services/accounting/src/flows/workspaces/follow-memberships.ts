import type { AskMemberships, Members } from '../../ports.ts';

type FollowDeps = Readonly<{ members: Members; askMemberships: AskMemberships; clock: { now(): number } }>;

/** Changes may be late by so much: the clocks of auth's instances differ, and a write takes its time. */
const OVERLAP_MS = 30_000;
const MOST_PAGES = 1000;

/** Brings the copy of memberships to what auth knows. What was read is kept page by page, so a break costs nothing. */
export const createFollowMemberships = ({ members, askMemberships, clock }: FollowDeps) =>
  async function followMemberships(): Promise<void> {
    // A change from the future was written with a clock that is wrong: the others are still to be asked for.
    const newest = await members.newest(new Date(clock.now()));
    const since = newest && new Date(newest.getTime() - OVERLAP_MS);
    let cursor: string | undefined;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const told = await askMemberships({ since, cursor });
      if (told.changes.length > 0) await members.takeOver(told.changes);
      if (told.nextCursor === null) return;
      cursor = told.nextCursor;
    }
  };
