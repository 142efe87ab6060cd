import { randomBytes, randomUUID } from 'node:crypto';
import { type Role, SERVICE_NAMES, type ServiceName } from '@tollgate/contracts';
import { createServiceTokenSource, createSigner, readPrivateKeys } from '@tollgate/jwt-claims/sign';
import type { Clock } from './clock.ts';

export interface TestTokensOptions {
  readonly accessSecret: string;
  readonly refreshSecret: string;
  readonly serviceSecret: string;
  /** Instead of the access secret: private keys for EdDSA as PEM. */
  readonly privateKeys?: string;
  readonly issuer?: string;
}

/** Tokens as our services sign them, for callers that need no account and for tokens that must be refused. */
export interface TestTokens {
  /** An access token; `userId` is a new one unless given. */
  access(options?: AccessOptions): Promise<string>;
  /** An access token whose time is over by more than the tolerance. */
  expired(role?: Role): Promise<string>;
  refresh(userId?: string): Promise<string>;
  service(from: ServiceName, audience: ServiceName): Promise<string>;
}

export interface AccessOptions {
  readonly role?: Role;
  readonly userId?: string;
  readonly workspaceId?: string | undefined;
  /** The services it is for; all when absent. */
  readonly audience?: readonly ServiceName[];
  readonly clock?: Clock;
}

const kid = 'k1';
const ACCESS_SECONDS = 900;
const LONG_AGO_MS = 2 * ACCESS_SECONDS * 1000;
const named = (secret: string) => [{ kid, secret }];

export const newUserId = (): string => randomBytes(12).toString('hex');

/** Signs with the secrets of the services under test; `kid` must be the one their configuration gives a plain secret. */
export function createTestTokens(options: TestTokensOptions): TestTokens {
  const keys = options.privateKeys === undefined ? named(options.accessSecret) : readPrivateKeys(options.privateKeys);
  const signer = (clock?: Clock, audience: readonly ServiceName[] = SERVICE_NAMES) =>
    createSigner({
      access: { keys, ttlSeconds: ACCESS_SECONDS },
      refresh: { keys: named(options.refreshSecret), ttlSeconds: ACCESS_SECONDS },
      issuer: options.issuer ?? 'tollgate',
      audience,
      ...(clock && { clock }),
    });
  const access: TestTokens['access'] = async ({ role = 'enduser', userId = newUserId(), ...over } = {}) => {
    const { workspaceId, audience, clock } = over;
    const subject = {
      sub: userId,
      username: `u-${userId}`,
      email: `${userId}@example.test`,
      role,
      sid: randomUUID(),
      ...(workspaceId !== undefined && { wid: workspaceId }),
    };
    return (await signer(clock, audience).signAccess(subject)).token;
  };
  return {
    access,
    expired: (role = 'enduser') => access({ role, clock: { now: () => Date.now() - LONG_AGO_MS } }),
    refresh: async (userId = newUserId()) => {
      const notAfter = Math.floor(Date.now() / 1000) + ACCESS_SECONDS;
      return (await signer().signRefresh({ sub: userId, sid: randomUUID(), notAfter })).token;
    },
    service: (from, audience) =>
      createServiceTokenSource({ service: from, keys: named(options.serviceSecret) }).tokenFor(audience),
  };
}
