import type { auth } from '@tollgate/contracts';

/** An entry of auth's feed: which tokens count no longer, and why. */
export type Revocation = auth.Revocation;

/** What a token (or an API key, known by `keyId` and verified at `iat`) says about itself. */
export type RevocationSubject = Readonly<{
  sub: string;
  /** Seconds since 1970. */
  iat: number;
  sid?: string | undefined;
  wid?: string | undefined;
  ver?: number | undefined;
  mver?: number | undefined;
  keyId?: string | undefined;
}>;

export type Revocations = {
  /** Takes entries in, each once, and says how many were new. */
  apply(entries: readonly Revocation[]): number;
  /** The entry that a subject falls under. */
  find(subject: RevocationSubject): Revocation | undefined;
  /** Whether it falls under an entry, or may have fallen under one that was forgotten for want of room. */
  isRevoked(subject: RevocationSubject): boolean;
  /** Forgets what only speaks of tokens that have expired. */
  forgetBefore(ms: number): void;
  readonly size: number;
};

export type RevocationsOptions = Readonly<{
  /** Most entries at a time; 50,000 are about 30 MB. */
  capacity?: number;
}>;

const DEFAULT_CAPACITY = 50_000;
const MILLISECONDS = 1000;

/**
 * Which tokens were revoked, in memory, so that asking costs no call. When it is full the oldest entry makes room, and every
 * token from before it is refused from then on: that costs its owner a refresh, and lets nothing revoked through.
 */
export function createRevocations({ capacity = DEFAULT_CAPACITY }: RevocationsOptions = {}): Revocations {
  const byId = new Map<string, Revocation>();
  const byTarget = new Map<string, Set<Revocation>>();
  let floorMs = 0;

  function add(entry: Revocation): boolean {
    if (byId.has(entry.id) || entry.madeAt <= floorMs) return false;
    byId.set(entry.id, entry);
    const target = targetOf(entry);
    const others = byTarget.get(target);
    if (others) others.add(entry);
    else byTarget.set(target, new Set([entry]));
    while (byId.size > capacity) makeRoom();
    return true;
  }

  function makeRoom(): void {
    for (const oldest of byId.values()) {
      floorMs = Math.max(floorMs, oldest.madeAt);
      return remove(oldest);
    }
  }

  function remove(entry: Revocation): void {
    byId.delete(entry.id);
    const target = targetOf(entry);
    const others = byTarget.get(target);
    others?.delete(entry);
    if (others?.size === 0) byTarget.delete(target);
  }

  function find(subject: RevocationSubject): Revocation | undefined {
    // Asked once a second for every answer that is open, and most of the time there is none.
    if (byTarget.size === 0) return undefined;
    for (const target of targetsOf(subject)) {
      for (const entry of byTarget.get(target) ?? []) if (covers(entry, subject)) return entry;
    }
    return undefined;
  }

  return {
    apply: (entries) => entries.filter(add).length,
    find,
    isRevoked: (subject) => isIssuedBefore(subject, floorMs) || find(subject) !== undefined,
    forgetBefore(ms) {
      // They come in the order of time but for the clocks of those who wrote them: what stays behind a younger one goes next time.
      for (const entry of byId.values()) {
        if (entry.madeAt >= ms) return;
        remove(entry);
      }
    },
    get size() {
      return byId.size;
    },
  };
}

function targetOf(entry: Revocation): string {
  switch (entry.kind) {
    case 'session':
      return `session:${entry.sessionId}`;
    case 'user':
      return `user:${entry.userId}`;
    case 'member':
      return `member:${entry.userId}:${entry.workspaceId}`;
    case 'workspace':
      return `workspace:${entry.workspaceId}`;
    case 'key':
      return `key:${entry.keyId}`;
  }
}

function targetsOf({ sub, sid, wid, keyId }: RevocationSubject): string[] {
  const targets = [`user:${sub}`];
  if (sid !== undefined) targets.push(`session:${sid}`);
  if (wid !== undefined) targets.push(`member:${sub}:${wid}`, `workspace:${wid}`);
  if (keyId !== undefined) targets.push(`key:${keyId}`);
  return targets;
}

/** Whether an entry about this target covers the subject. */
function covers(entry: Revocation, subject: RevocationSubject): boolean {
  switch (entry.kind) {
    case 'session':
      return true;
    case 'user':
      if (entry.exceptSessionId !== undefined && entry.exceptSessionId === subject.sid) return false;
      return isOutdated(subject.ver, entry, subject);
    case 'member':
      return isOutdated(subject.mver, entry, subject);
    case 'workspace':
    case 'key':
      return isIssuedBefore(subject, entry.madeAt);
  }
}

/** By version, which no clock can get wrong; tokens that name none are judged by their time. */
const isOutdated = (
  version: number | undefined,
  { minVersion, madeAt }: { minVersion: number; madeAt: number },
  subject: RevocationSubject,
): boolean => (version === undefined ? isIssuedBefore(subject, madeAt) : version < minVersion);

/** `iat` is the beginning of a second: a token of the same second counts as issued before. */
const isIssuedBefore = ({ iat }: RevocationSubject, ms: number): boolean => iat * MILLISECONDS <= ms;
