import { hash } from 'node:crypto';
import type { auth } from '@tollgate/contracts';
import { LRUCache } from 'lru-cache';
import { unavailable } from '../app-error.ts';
import { callerOfKey, type KeyCaller } from './caller-of-key.ts';

export interface KeyVerifierOptions {
  /** Asks auth; undefined for a key that does not count. Throws when it cannot know. */
  readonly ask: (key: string, ip: string | undefined) => Promise<auth.VerifiedKey | undefined>;
  /** How long a good answer is believed, in milliseconds; a refusal at most 5 s. */
  readonly goodMs: number;
  /** Whether something was revoked since auth answered this. */
  readonly isRevoked?: (caller: KeyCaller) => boolean;
  readonly clock?: { now(): number };
  /** Keys remembered at most. */
  readonly size?: number;
}

/** The caller a key stands for; undefined for one that does not count. Throws DEPENDENCY_UNAVAILABLE when nobody knows. */
export type VerifyKey = (key: string, ip?: string) => Promise<KeyCaller | undefined>;

const LONGEST_REFUSAL_MS = 5000;
const STANDARD_SIZE = 10_000;
/** Keys that are asked for at once: beyond that somebody is trying keys, and auth is not made to answer for all of them. */
const MOST_LOOKUPS = 500;
/** Of those, from one address: whoever tries keys leaves room for everybody else. */
const MOST_LOOKUPS_OF_ONE = 50;
const RETRY_AFTER_SECONDS = 2;

interface Known {
  readonly caller: KeyCaller;
  readonly until: number;
}

/**
 * Remembers what auth said of API keys. A warm key costs one hash and a look into a map; many first uses of one key at once are
 * one question. Keys are remembered as full SHA-256 hashes, so a heap dump gives none away; refusals have a memory of their
 * own, so that wrong keys cannot push good ones out. An answer from before a revocation is not believed: auth is asked again.
 */
export function createKeyVerifier(options: KeyVerifierOptions): VerifyKey {
  const { ask, goodMs, isRevoked = () => false, clock = SYSTEM_CLOCK, size = STANDARD_SIZE } = options;
  const good = new LRUCache<string, Known>({ max: size });
  const refused = new LRUCache<string, number>({ max: size });
  const asking = new Map<string, Promise<KeyCaller | undefined>>();
  const room = createRoom();
  const refusalMs = Math.min(goodMs, LONGEST_REFUSAL_MS);

  async function look(name: string, key: string, ip: string | undefined): Promise<KeyCaller | undefined> {
    const askedAt = clock.now();
    const found = await ask(key, ip);
    const caller = found && callerOfKey(found);
    if (caller) good.set(name, { caller, until: Math.min(askedAt + goodMs, caller.expiresAt) });
    else refused.set(name, askedAt + refusalMs);
    return caller;
  }

  function lookOnce(name: string, key: string, ip: string | undefined): Promise<KeyCaller | undefined> {
    const under = asking.get(name);
    if (under) return under;
    const leave = room.enter(ip);
    if (!leave) throw unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS);
    const lookup = look(name, key, ip).finally(() => {
      asking.delete(name);
      leave();
    });
    asking.set(name, lookup);
    return lookup;
  }

  return async function verify(key, ip) {
    const name = hash('sha256', key, 'base64url');
    const now = clock.now();
    const known = good.get(name);
    if (known && now < known.until && !isRevoked(known.caller)) return known.caller;
    if (now < (refused.get(name) ?? 0)) return undefined;
    const caller = await lookOnce(name, key, ip);
    if (!caller || !isRevoked(caller)) return caller;
    // Revoked while the question was under way: the next answer is from after that.
    const again = await lookOnce(name, key, ip);
    return again && !isRevoked(again) ? again : undefined;
  };
}

/** Counts the lookups under way, in all and from each address; a call without an address comes from a service of ours. */
function createRoom() {
  const byAddress = new Map<string, number>();
  let inAll = 0;

  function change(ip: string | undefined, by: 1 | -1): void {
    inAll += by;
    if (ip === undefined) return;
    const count = (byAddress.get(ip) ?? 0) + by;
    if (count > 0) byAddress.set(ip, count);
    else byAddress.delete(ip);
  }
  return {
    /** How to leave again; undefined when there is no room. */
    enter(ip: string | undefined): (() => void) | undefined {
      const ofOne = ip === undefined ? 0 : (byAddress.get(ip) ?? 0);
      if (inAll >= MOST_LOOKUPS || ofOne >= MOST_LOOKUPS_OF_ONE) return undefined;
      change(ip, 1);
      return () => change(ip, -1);
    },
  };
}

const SYSTEM_CLOCK = { now: () => Date.now() };
