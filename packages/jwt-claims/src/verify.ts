import type { ServiceName } from '@tollgate/contracts';
import {
  AccessClaims,
  type ClaimsProfile,
  type CommonClaims,
  readClaims,
  RefreshClaims,
  SERVICE_TOKEN_SECONDS,
  ServiceClaims,
  StrictAccessClaims,
  type TokenKind,
} from './claims.ts';
import { type Clock, checkTimes, secondsOf, systemClock } from './clock.ts';
import { TokenError } from './errors.ts';
import { createSignatureCheck, isPublic, LONGEST_TOKEN, parseObject } from './jws.ts';
import type { KeyRing } from './keys.ts';
import type { PublicKeys } from './public-keys.ts';
import { createTokenCache } from './token-cache.ts';

/** Tokens remembered per verifier: 10,000 entries are about 10 MB. */
const DEFAULT_CACHE_SIZE = 10_000;

type Options<Claims, Keys> = Readonly<{
  keys: Keys;
  /** Default: the system clock. */
  clock?: Clock;
  /** Most tokens remembered at a time. */
  cacheSize?: number;
  /** Asked for every token on every call, remembered or not; must answer from memory. */
  isRevoked?: (claims: Claims) => boolean;
}>;

/** Both hooks are for revocation: what they forget is checked from the start when it comes again. */
type Forgetting<Claims> = {
  /** Forgets the remembered tokens that match (a session, a user) and says how many there were. */
  forget(matches: (claims: Claims) => boolean): number;
  clear(): void;
};

/** The kind of `keys` decides the algorithm: a key ring takes HS256 tokens alone, public keys EdDSA tokens alone. */
export type VerifierOptions = Options<AccessClaims, KeyRing | PublicKeys> &
  Readonly<{
    issuer: string;
    /** The service that verifies, as tokens name it in `aud`. */
    audience: string;
    profile?: ClaimsProfile;
  }>;

export type Verifier = Forgetting<AccessClaims> & {
  /** Claims of a valid access token; rejects with a TokenError. `undefined` and `''` are `missing`. */
  verifyAccess(token: string | undefined): Promise<AccessClaims>;
};

/**
 * Verifies users' access tokens (RFC 7519 with the rules of RFC 8725) for one service.
 * Good tokens are remembered until their `exp`; bad ones never.
 * @throws RangeError when a key is unusable.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const profile = options.profile ?? 'strict';
  const kind: TokenKind<AccessClaims> = {
    type: 'access',
    schema: profile === 'strict' ? StrictAccessClaims : AccessClaims,
  };
  const { verify, ...forgetting } = remember(createCheck(kind, { ...options, profile }), options);
  return { verifyAccess: verify, ...forgetting };
}

export type ServiceVerifierOptions = Options<ServiceClaims, KeyRing> & Readonly<{ audience: ServiceName }>;

export type ServiceVerifier = Forgetting<ServiceClaims> & {
  /** Claims of a valid service token for this service; rejects with a TokenError. */
  verifyService(token: string | undefined): Promise<ServiceClaims>;
};

/**
 * Verifies the tokens with which another service calls this one; their span (`exp` − `iat`) is at most 60 s.
 * @throws RangeError when a key is unusable.
 */
export function createServiceVerifier(options: ServiceVerifierOptions): ServiceVerifier {
  const kind: TokenKind<ServiceClaims> = {
    type: 'service',
    schema: ServiceClaims.refine((claims) => claims.exp - claims.iat <= SERVICE_TOKEN_SECONDS, { path: ['exp'] }),
  };
  const { verify, ...forgetting } = remember(createCheck(kind, { ...options, profile: 'strict' }), options);
  return { verifyService: verify, ...forgetting };
}

export type RefreshVerifierOptions = Readonly<{ keys: KeyRing; issuer: string; clock?: Clock }>;

export type RefreshVerifier = {
  /** Claims of a valid refresh token; whether it was used before is for the caller's store to say. */
  verifyRefresh(token: string | undefined): Promise<RefreshClaims>;
};

/**
 * Verifies refresh tokens, for the auth service alone. Nothing is remembered: each is used once.
 * @throws RangeError when a key is unusable.
 */
export function createRefreshVerifier({ keys, issuer, clock }: RefreshVerifierOptions): RefreshVerifier {
  const kind: TokenKind<RefreshClaims> = { type: 'refresh', schema: RefreshClaims };
  const check = createCheck(kind, { keys, issuer, audience: 'auth', profile: 'strict', ...(clock && { clock }) });
  return { verifyRefresh: async (token) => check(present(token)) };
}

type CheckOptions = Readonly<{
  keys: KeyRing | PublicKeys;
  audience: string;
  profile: ClaimsProfile;
  issuer?: string;
  clock?: Clock;
}>;

/** The whole check of one kind of token, from the signature to the audience. */
function createCheck<Claims extends CommonClaims>(kind: TokenKind<Claims>, options: CheckOptions) {
  const { keys, issuer, audience, profile, clock = systemClock } = options;
  const checkSignature = createSignatureCheck(keys, profile);

  return async function check(token: string): Promise<Claims> {
    const claims = readClaims(kind, parseObject(await checkSignature(token)));
    checkTimes(claims, clock);
    if (issuer !== undefined && claims.iss !== undefined && claims.iss !== issuer) throw new TokenError('wrong-issuer');
    if (claims.aud !== undefined && ![claims.aud].flat().includes(audience)) throw new TokenError('wrong-audience');
    return claims;
  };
}

/** Service tokens name a service, and are not revoked. */
function provenBy(claims: CommonClaims) {
  const { sub, wid } = Object(claims) as { sub?: unknown; wid?: unknown };
  if (typeof sub !== 'string') return {};
  return { proven: { sub, ...(typeof wid === 'string' && { wid }) } };
}

/** Puts the memory and the revocation question in front of a check. */
function remember<Claims extends CommonClaims>(
  check: (token: string) => Promise<Claims>,
  options: Options<Claims, KeyRing | PublicKeys>,
) {
  const { keys, clock = systemClock, cacheSize = DEFAULT_CACHE_SIZE, isRevoked } = options;
  const cache = createTokenCache<Claims>(cacheSize);
  const editionOfKeys = () => (isPublic(keys) ? keys.edition() : 0);
  let edition = editionOfKeys();

  /** What a withdrawn key has signed must not be remembered beyond the key. */
  function forgetIfWithdrawn(): void {
    if (edition === editionOfKeys()) return;
    edition = editionOfKeys();
    cache.forget(() => true);
  }

  async function verify(token: string | undefined): Promise<Claims> {
    forgetIfWithdrawn();
    const key = cache.key(present(token));
    const generation = cache.generation();
    const known = cache.get(key);
    // A remembered answer ends with exp; the tolerance after it is granted by the full check alone.
    if (known && secondsOf(clock) < known.exp) {
      checkTimes(known, clock);
      return unlessRevoked(key, known);
    }
    cache.drop(key);
    const claims = deepFreeze(await check(present(token)));
    unlessRevoked(key, claims);
    if (secondsOf(clock) < claims.exp) cache.set(key, claims, generation);
    return claims;
  }

  function unlessRevoked(key: string, claims: Claims): Claims {
    if (!isRevoked?.(claims)) return claims;
    cache.drop(key);
    throw new TokenError('revoked', undefined, provenBy(claims));
  }

  return { verify, forget: cache.forget, clear: () => void cache.forget(() => true) };
}

/** One claims object is shared by every request with the same token, so nobody may change it. */
function deepFreeze<Claims extends CommonClaims>(claims: Claims): Claims {
  if (Array.isArray(claims.aud)) Object.freeze(claims.aud);
  return Object.freeze(claims);
}

function present(token: string | undefined): string {
  if (!token) throw new TokenError('missing');
  if (token.length > LONGEST_TOKEN) throw new TokenError('malformed', 'too long');
  return token;
}
