import { auth } from '@tollgate/contracts';
import { createRevocations, type Revocation, type RevocationSubject } from '@tollgate/jwt-claims/revocations';
import { createClient } from './client.ts';
import { createRounds } from './rounds.ts';

export interface FollowerOptions {
  /** The auth service. */
  readonly baseUrl: string;
  /** A service token for auth. */
  readonly token: () => Promise<string>;
  /** Milliseconds between two questions. */
  readonly everyMs: number;
  readonly clock: { now(): number };
  /** Told once when auth has stopped answering, and not again before it has answered. */
  readonly failed: (error: unknown) => void;
  /** Told after every answer; `news`: how many entries were new. */
  readonly heard?: (news: number) => void;
  /** Told of entries that were new, before `heard`; after a start of all that auth still tells. */
  readonly told?: (entries: readonly Revocation[]) => void;
  /** Most entries kept in memory. */
  readonly capacity?: number;
}

export interface RevocationFollower {
  /** Whether a token counts no longer; asks nobody. */
  isRevoked(subject: RevocationSubject): boolean;
  /** The entry that a token falls under. */
  find(subject: RevocationSubject): Revocation | undefined;
  /** Seconds since auth has last answered, at first since the beginning. */
  ageSeconds(): number;
  start(): void;
  close(): Promise<void>;
}

/** Entries may be late by so much: the clocks of auth's instances differ, and a write takes its time. */
const OVERLAP_MS = 30_000;
/** Longer than auth tells an entry: by then no token that it speaks of is left. */
const KEPT_MS = 3_600_000 + 2 * 60_000;
/** For one question, its repetition included; several must fit into the five seconds a revocation may take. */
const TIMEOUT_MS = 2000;
const MOST_PAGES = 1000;
const MILLISECONDS = 1000;

/**
 * Follows auth's list of revoked access tokens, so that a request costs no call. While auth does not answer, tokens go on
 * working until they expire; how long that has been so is a metric.
 */
export function followRevocations(options: FollowerOptions): RevocationFollower {
  const { baseUrl, token, clock, everyMs, failed, heard, told, capacity } = options;
  const revocations = createRevocations(capacity === undefined ? {} : { capacity });
  const client = createClient(
    { readRevocations: auth.readRevocations },
    { baseUrl, token, timeoutMs: TIMEOUT_MS, connections: 1 },
  );
  let since = 0;
  let heardAt = clock.now();
  let isSilent = false;

  async function turn(): Promise<void> {
    const { news, now } = await readOn();
    since = Math.max(0, now - OVERLAP_MS);
    heardAt = clock.now();
    isSilent = false;
    revocations.forgetBefore(heardAt - KEPT_MS);
    heard?.(news);
  }

  async function readOn(): Promise<{ news: number; now: number }> {
    const first = await client.readRevocations({ query: { since } });
    let news = takeIn(first.revocations);
    let cursor = first.nextCursor;
    for (let page = 1; cursor !== null && page < MOST_PAGES; page += 1) {
      const next = await client.readRevocations({ query: { since, cursor } });
      news += takeIn(next.revocations);
      cursor = next.nextCursor;
    }
    return { news, now: first.now };
  }

  function takeIn(entries: readonly Revocation[]): number {
    const fresh = entries.filter((entry) => revocations.apply([entry]) > 0);
    if (fresh.length > 0) told?.(fresh);
    return fresh.length;
  }

  const rounds = createRounds(turn, {
    everyMs,
    failed(error) {
      if (!isSilent) failed(error);
      isSilent = true;
    },
  });
  return {
    isRevoked: revocations.isRevoked,
    find: revocations.find,
    ageSeconds: () => Math.max(0, clock.now() - heardAt) / MILLISECONDS,
    start: rounds.start,
    async close() {
      // Closed first: a question under way would keep the rounds waiting.
      await client.close();
      await rounds.close();
    },
  };
}
