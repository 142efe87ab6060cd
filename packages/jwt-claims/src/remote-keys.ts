import type { KeyObject } from 'node:crypto';
import { type Clock, secondsOf, systemClock } from './clock.ts';
import { KeysUnavailableError } from './errors.ts';
import { readPublicSet } from './jwk.ts';
import { indexed, type PublicKeys } from './public-keys.ts';

/** Between two looks at the issuer when a token names an unknown key, in seconds: strangers choose names too. */
const REFRESH_SECONDS = 30;
/** The same as long as there is no key at all. */
const FIRST_SECONDS = 2;
/** Keys older than this are asked for again, so that a withdrawn one is noticed although no new one has signed. */
const STALE_SECONDS = 600;
const DEFAULT_TIMEOUT_MS = 1500;
const MOST_BYTES = 65_536;

export type RemoteKeysOptions = Readonly<{
  /** The issuer's JWK Set, such as `https://auth.example.org/.well-known/jwks.json`. Never taken from a token. */
  url: string;
  /** Longest wait for the issuer; 1.5 s when absent. */
  timeoutMs?: number;
  clock?: Clock;
  /** Told why keys could not be fetched; must not throw. */
  failed?: (error: unknown) => void;
}>;

export type RemoteKeys = PublicKeys & {
  /** Resolves when there are keys, and fetches them if there are none; rejects with a KeysUnavailableError. */
  ready(): Promise<void>;
};

/**
 * The public keys of an issuer, fetched when they are first needed and again when a token names a key that is not among them.
 * One fetch at a time, at most one in 30 s (in 2 s while there are no keys), each bounded in time and size. A fetch that fails
 * leaves the keys as they are.
 */
export function createRemoteKeys(options: RemoteKeysOptions): RemoteKeys {
  const { clock = systemClock, failed } = options;
  let known: ReadonlyMap<string, KeyObject> | undefined;
  let edition = 0;
  let attempted = Number.NEGATIVE_INFINITY;
  let failure: unknown;
  let underWay: Promise<void> | undefined;

  /** Seconds since the last fetch began; a clock that was set back counts as a long time. */
  function sinceAttempt(): number {
    const passed = secondsOf(clock) - attempted;
    return passed < 0 ? Number.POSITIVE_INFINITY : passed;
  }

  async function refresh(): Promise<void> {
    if (underWay === undefined && sinceAttempt() >= (known ? REFRESH_SECONDS : FIRST_SECONDS)) {
      attempted = secondsOf(clock);
      underWay = load().finally(() => (underWay = undefined));
    }
    await underWay;
  }

  async function load(): Promise<void> {
    try {
      const fetched = indexed(readPublicSet(await fetchSet(options)));
      if (known && isWithdrawn(known, fetched)) edition += 1;
      known = fetched;
      failure = undefined;
    } catch (error) {
      failure = error;
      failed?.(error);
    }
  }

  async function ready(): Promise<void> {
    if (!known) await refresh();
    if (!known) throw new KeysUnavailableError({ cause: failure });
  }

  return {
    alg: 'EdDSA',
    ready,
    edition: () => edition,
    async find(kid) {
      await ready();
      if (sinceAttempt() >= STALE_SECONDS) void refresh();
      if (!known?.has(kid)) await refresh();
      const key = known?.get(kid);
      // Perhaps the issuer has a new key and cannot say so: that is for the caller to wait out, not to log in again.
      if (!key && failure !== undefined) throw new KeysUnavailableError({ cause: failure });
      return key;
    },
  };
}

const isWithdrawn = (before: ReadonlyMap<string, KeyObject>, after: ReadonlyMap<string, KeyObject>): boolean =>
  [...before].some(([kid, key]) => !after.get(kid)?.equals(key));

async function fetchSet({ url, timeoutMs = DEFAULT_TIMEOUT_MS }: RemoteKeysOptions): Promise<unknown> {
  const response = await fetch(url, {
    headers: { accept: 'application/jwk-set+json, application/json', 'cache-control': 'no-cache' },
    // The address is the operator's; wherever it leads on is not.
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    throw new Error(`the issuer of the keys answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > MOST_BYTES) throw new Error('the key set is too large');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}
