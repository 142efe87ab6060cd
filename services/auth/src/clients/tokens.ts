import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { SERVICE_NAMES, UserId } from '@tollgate/contracts';
import { createRefreshVerifier, createVerifier, type KeyRing, TokenError } from '@tollgate/jwt-claims';
import { createSigner, type PrivateKeys, publicKeysOf, publicSetOf } from '@tollgate/jwt-claims/sign';
import { claimedRole } from '../domain/workspace.ts';
import type { Clock, Tokens } from '../ports.ts';

const MILLISECONDS = 1000;

export type TokenOptions = Readonly<{
  /** A key ring signs with HS256, private keys with EdDSA. */
  accessKeys: KeyRing | PrivateKeys;
  refreshKeys: KeyRing;
  issuer: string;
  /** Services of others that access tokens are for, beside our own. */
  extraAudiences?: readonly string[];
  profile: 'strict' | 'compatible';
  accessSeconds: number;
  refreshSeconds: number;
  /** The workspace where everybody is what they are in the installation. */
  workspaceId: string;
  clock: Clock;
}>;

/** Signs and reads the tokens of users, and keeps a successor of a refresh token readable for its predecessor alone. */
export function createTokens(options: TokenOptions) {
  const { accessKeys, refreshKeys, issuer, profile, clock, workspaceId } = options;
  const signer = createSigner({
    access: { keys: accessKeys, ttlSeconds: options.accessSeconds },
    refresh: { keys: refreshKeys, ttlSeconds: options.refreshSeconds },
    issuer,
    audience: [...SERVICE_NAMES, ...(options.extraAudiences ?? [])],
    clock,
  });
  const isPublic = 'alg' in accessKeys;
  const keys = isPublic ? publicKeysOf(accessKeys) : accessKeys;
  const verifier = createVerifier({ keys, issuer, audience: 'auth', profile, clock });
  const refreshVerifier = createRefreshVerifier({ keys: refreshKeys, issuer, clock });

  const tokens: Tokens = {
    async access(user, { id: sid, lifeMs }, place) {
      const { id: sub, username, email, tokenVersion: ver } = user;
      const role = claimedRole(user, place, workspaceId);
      const seat = {
        wid: place.workspaceId,
        wrole: place.role,
        ...(place.memberVersion !== undefined && { mver: place.memberVersion }),
      };
      return (
        await signer.signAccess({ sub, username, email, role, sid, ver, ttlSeconds: lifeMs / MILLISECONDS, ...seat })
      ).token;
    },
    async refresh(sub, sid, endsAt) {
      return (await signer.signRefresh({ sub, sid, notAfter: Math.floor(endsAt.getTime() / 1000) })).token;
    },
    async readRefresh(token) {
      const claims = await unlessRefused(refreshVerifier.verifyRefresh(token));
      return claims && { userId: UserId.parse(claims.sub), sessionId: claims.sid };
    },
    readAccessSession: async (token) => (await unlessRefused(verifier.verifyAccess(token)))?.sid,
    hash: (token) => createHash('sha256').update(token).digest('base64url'),
    seal,
    unseal,
  };
  /** What everybody may verify access tokens with. */
  const keySet = isPublic ? publicSetOf(accessKeys) : undefined;
  return { tokens, verifyAccess: verifier.verifyAccess, keySet };
}

async function unlessRefused<Claims>(verification: Promise<Claims>): Promise<Claims | undefined> {
  try {
    return await verification;
  } catch (error) {
    if (error instanceof TokenError) return undefined;
    throw error;
  }
}

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The key is the predecessor itself, so a copy of the database opens nothing. */
const keyFrom = (token: string): Buffer =>
  Buffer.from(hkdfSync('sha256', token, '', 'tollgate refresh successor', KEY_BYTES));

function seal(successor: string, token: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyFrom(token), nonce, { authTagLength: TAG_BYTES });
  const sealed = Buffer.concat([cipher.update(successor, 'utf8'), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
}

function unseal(sealed: string, token: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64url');
  const decipher = createDecipheriv(CIPHER, keyFrom(token), bytes.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    return decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)).toString('utf8') + decipher.final('utf8');
  } catch {
    // GCM says only "not this key": another token than the predecessor.
    return undefined;
  }
}
