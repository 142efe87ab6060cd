import { auth as operations } from '@tollgate/contracts';
import type { RevocationSubject } from '@tollgate/jwt-claims/revocations';
import { AppError, unavailable } from '../app-error.ts';
import { createClient } from '../client.ts';
import type { KeyCaller } from './caller-of-key.ts';
import { createKeyVerifier, type VerifyKey } from './key-verifier.ts';

export interface RemoteKeysOptions {
  /** The auth service. */
  readonly baseUrl: string;
  /** A service token for it. */
  readonly token: () => Promise<string>;
  /** How long a good answer is believed, in milliseconds. */
  readonly goodMs: number;
  readonly isRevoked: (subject: RevocationSubject) => boolean;
  readonly clock?: { now(): number };
}

export interface RemoteKeys {
  readonly verifyKey: VerifyKey;
  close(): Promise<void>;
}

const TIMEOUT_MS = 3000;
const CONNECTIONS = 16;
const RETRY_AFTER_SECONDS = 2;
const MILLISECONDS = 1000;

/** API keys for a service that asks auth about them. While auth is away, what is remembered counts until it ends. */
export function createRemoteKeys({ baseUrl, token, goodMs, isRevoked, clock }: RemoteKeysOptions): RemoteKeys {
  const { verifyApiKey } = operations;
  const client = createClient({ verifyApiKey }, { baseUrl, token, timeoutMs: TIMEOUT_MS, connections: CONNECTIONS });
  const ask = async (key: string, ip: string | undefined) => {
    try {
      return await client.verifyApiKey({ body: { key, ...(ip !== undefined && { ip }) } });
    } catch (error) {
      if (error instanceof AppError && error.code === 'NOT_FOUND') return undefined;
      // Whatever else auth answers is between it and us: the key was not refused.
      throw unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS, error);
    }
  };
  const verifyKey = createKeyVerifier({
    ask,
    goodMs,
    isRevoked: (caller) => isRevoked(subjectOf(caller)),
    ...(clock && { clock }),
  });
  return { verifyKey, close: () => client.close() };
}

const subjectOf = ({
  userId,
  workspaceId,
  version,
  memberVersion,
  apiKey,
  issuedAt,
}: KeyCaller): RevocationSubject => ({
  sub: userId,
  iat: issuedAt / MILLISECONDS,
  wid: workspaceId,
  ver: version,
  mver: memberVersion,
  keyId: apiKey?.id,
});
