import { createPublicKey, randomUUID } from 'node:crypto';
import type { Role, ServiceName, WorkspaceRole } from '@tollgate/contracts';
import { CompactSign, type CryptoKey, type KeyObject } from 'jose';
import {
  type AccessClaims,
  type CommonClaims,
  readClaims,
  RefreshClaims,
  SERVICE_TOKEN_SECONDS,
  ServiceClaims,
  StrictAccessClaims,
  type TokenKind,
} from './claims.ts';
import { type Clock, secondsOf, systemClock } from './clock.ts';
import { type PublicKeyJwk, publicJwk } from './jwk.ts';
import type { PrivateKeys } from './key-text.ts';
import { bytesOf, importKeys, type KeyRing } from './keys.ts';
import { fixedKeys, type PublicKeys } from './public-keys.ts';

export { type PrivateKeys, readPrivateKeys } from './key-text.ts';

/** A fresh token and what it says, for cookies (`exp`, in seconds since 1970) and for the store (`jti`). */
export type Signed<Claims> = Readonly<{ token: string; claims: Claims }>;

/** Keys and life of one kind of token. */
export type TokenPlan<Keys> = Readonly<{ keys: Keys; ttlSeconds: number }>;

export type SignerOptions = Readonly<{
  /** A key ring signs with HS256, private keys with EdDSA. */
  access: TokenPlan<KeyRing | PrivateKeys>;
  /** Only the auth service reads refresh tokens, so that a shared secret is enough. */
  refresh: TokenPlan<KeyRing>;
  issuer: string;
  /** The services an access token is for. */
  audience: readonly string[];
  clock?: Clock;
}>;

/**
 * Whom an access token speaks for. `sid` is the session family, `wid` the workspace and `wrole` what the user is in it;
 * `ver` and `mver` are the versions of account and membership that a revocation may outdate.
 */
export type AccessSubject = Readonly<{
  sub: string;
  username: string;
  email: string;
  role: Role;
  sid: string;
  wid?: string;
  wrole?: WorkspaceRole;
  ver?: number;
  mver?: number;
  /** For a life shorter than that of the plan. */
  ttlSeconds?: number;
}>;

/** `notAfter` (seconds since 1970) is the end of the session family; no refresh token outlives it. */
export type RefreshSubject = Readonly<{ sub: string; sid: string; notAfter: number }>;

export type Signer = {
  signAccess(subject: AccessSubject): Promise<Signed<AccessClaims>>;
  signRefresh(subject: RefreshSubject): Promise<Signed<RefreshClaims>>;
};

const accessKind: TokenKind<AccessClaims> = { type: 'access', schema: StrictAccessClaims };
const refreshKind: TokenKind<RefreshClaims> = { type: 'refresh', schema: RefreshClaims };
const serviceKind: TokenKind<ServiceClaims> = { type: 'service', schema: ServiceClaims };

/**
 * Signs users' tokens, for the auth service alone. Every token has its own random `jti`.
 * @throws RangeError when a key is unusable or serves both kinds: then a refresh token would only be one claim away from
 * an access token. Signing rejects with a TokenError `bad-claims` for claims that no verifier would take.
 */
export function createSigner({ access, refresh, issuer, audience, clock = systemClock }: SignerOptions): Signer {
  if (!isPrivate(access.keys)) refuseSharedSecrets(access.keys, refresh.keys);
  const signAs = { access: createSign(access.keys), refresh: createSign(refresh.keys) };
  return {
    signAccess: ({ ttlSeconds = access.ttlSeconds, ...subject }) =>
      signAs.access(accessKind, {
        ...subject,
        ...stamp(clock, Math.min(ttlSeconds, access.ttlSeconds)),
        type: 'access',
        iss: issuer,
        aud: [...audience],
      }),
    signRefresh({ notAfter, ...subject }) {
      const { exp, ...stamped } = stamp(clock, refresh.ttlSeconds);
      const claims = { ...stamped, exp: Math.min(exp, notAfter), type: 'refresh', iss: issuer, aud: 'auth' } as const;
      return signAs.refresh(refreshKind, { ...subject, ...claims });
    },
  };
}

export type ServiceTokenSourceOptions = Readonly<{
  service: ServiceName;
  keys: KeyRing;
  /** Default and upper bound: 60. */
  ttlSeconds?: number;
  clock?: Clock;
}>;

export type ServiceTokenSource = {
  /** A token for calling `audience` that lives for at least another third of its span. */
  tokenFor(audience: ServiceName): Promise<string>;
};

/** When less than this share of a token's life is left, the next call makes a new one. */
const RENEW_AT = 1 / 3;

/**
 * Gives the calling service its tokens. One token serves all calls to a neighbour for most of a minute, so that the hot
 * path neither signs nor makes the neighbour verify a new one.
 * @throws RangeError when a key is unusable or the life is not within 1-60 s.
 */
export function createServiceTokenSource(options: ServiceTokenSourceOptions): ServiceTokenSource {
  const { service, keys, ttlSeconds = SERVICE_TOKEN_SECONDS, clock = systemClock } = options;
  if (!(ttlSeconds >= 1 && ttlSeconds <= SERVICE_TOKEN_SECONDS)) {
    throw new RangeError(`a service token lives 1-${SERVICE_TOKEN_SECONDS} s`);
  }
  const sign = createSign(keys);
  const current = new Map<ServiceName, { token: Promise<string>; renewAt: number; madeAt: number }>();

  function renew(audience: ServiceName, now: number): Promise<string> {
    const signed = sign(serviceKind, { ...stamp(clock, ttlSeconds), type: 'service', sub: service, aud: audience });
    const token = signed.then((result) => result.token);
    current.set(audience, { token, madeAt: now, renewAt: now + ttlSeconds * (1 - RENEW_AT) });
    return token;
  }

  return {
    async tokenFor(audience) {
      const now = secondsOf(clock);
      const kept = current.get(audience);
      // A clock that was set back must not keep a token that neighbours see as expired.
      return kept && now >= kept.madeAt && now < kept.renewAt ? kept.token : renew(audience, now);
    },
  };
}

/** The claims every token gets: who it is, since when, until when. */
function stamp(clock: Clock, ttlSeconds: number): { jti: string; iat: number; exp: number } {
  const iat = Math.floor(secondsOf(clock));
  return { jti: randomUUID(), iat, exp: iat + Math.floor(ttlSeconds) };
}

const isPrivate = (keys: KeyRing | PrivateKeys): keys is PrivateKeys => 'alg' in keys;

/** The JWK Set (RFC 7517 §5) that verifiers fetch: the public halves of all keys. */
export const publicSetOf = ({ keys }: PrivateKeys): { keys: PublicKeyJwk[] } => ({ keys: keys.map(publicJwk) });

/** The public halves, for a service that has the private ones and verifies too. */
export const publicKeysOf = ({ keys }: PrivateKeys): PublicKeys =>
  fixedKeys(keys.map(({ kid, key }) => ({ kid, key: createPublicKey(key) })));

type SigningKey = { alg: 'HS256' | 'EdDSA'; kid: string; key: KeyObject | Promise<CryptoKey> };

function currentKey(keys: KeyRing | PrivateKeys): SigningKey {
  if (isPrivate(keys)) return { alg: 'EdDSA', ...keys.keys[0] };
  return { alg: 'HS256', ...importKeys(keys, 'sign')[0] };
}

function createSign(keys: KeyRing | PrivateKeys) {
  const { alg, kid, key } = currentKey(keys);
  return async function sign<Claims extends CommonClaims>(
    kind: TokenKind<Claims>,
    payload: object,
  ): Promise<Signed<Claims>> {
    const claims = readClaims(kind, payload);
    const token = await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg, typ: 'JWT', kid })
      .sign(await key);
    return { token, claims };
  };
}

function refuseSharedSecrets(one: KeyRing, other: KeyRing): void {
  const secrets = new Set(one.map(({ secret }) => Buffer.from(bytesOf(secret)).toString('base64')));
  if (other.some(({ secret }) => secrets.has(Buffer.from(bytesOf(secret)).toString('base64')))) {
    throw new RangeError('access and refresh tokens need different secrets');
  }
}
