import {
  type Authenticate,
  type Check,
  type Closers,
  createAuthenticator,
  openAccessKeys,
  type VerifyKey,
} from '@tollgate/http-kit';
import { createRemoteKeys } from '@tollgate/http-kit/keys';
import { followRevocations, type RevocationFollower } from '@tollgate/http-kit/revocations';
import { createVerifier } from '@tollgate/jwt-claims';
import type { Logger } from '@tollgate/telemetry';
import { serviceToken } from '../clients/service-token.ts';
import type { Config } from '../config.ts';
import type { Access } from '../domain/access.ts';
import type { UserId } from '../domain/wire-types.ts';
import type { Tell } from '../domain/facts.ts';
import type { LeaseKeeper } from '../flows/answers/keep-leases.ts';
import type { Clock } from '../ports.ts';

interface Surroundings {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly tell: Tell;
  readonly closers: Closers;
  /** Told after every answer of auth why an access has ended, if it has. */
  readonly keeper: Pick<LeaseKeeper, 'endRevoked'>;
  /** Told of accounts that auth has deleted. */
  readonly accountsDeleted: (userIds: readonly UserId[]) => void;
}

export interface Admission {
  readonly authenticate: Authenticate;
  /** Something else that ends with the access it was begun with. */
  alsoEnds(endRevoked: LeaseKeeper['endRevoked']): void;
  readonly verifyKey: VerifyKey;
  /** What readiness asks for. */
  readonly checks: Readonly<Record<string, Check>>;
  readonly revocations: Pick<RevocationFollower, 'start' | 'ageSeconds'>;
}

/** Who is let in: a token that verifies here, and that auth has not revoked since, and a key that auth knows. */
export function createAdmission(
  config: Config,
  { logger, clock, tell, closers, keeper, accountsDeleted }: Surroundings,
): Admission {
  const trusted = openAccessKeys(
    { secrets: config.JWT_ACCESS_SECRET, publicKeys: config.JWT_PUBLIC_KEYS, jwksUrl: config.JWT_JWKS_URL },
    logger,
    clock,
  );
  const baseUrl = config.AUTH_API_URL;
  const token = serviceToken(config.JWT_SERVICE_SECRET, 'auth', clock);
  const ended: LeaseKeeper['endRevoked'][] = [keeper.endRevoked];
  const revocations = followRevocations({
    baseUrl,
    token,
    everyMs: config.REVOCATIONS_POLL,
    clock,
    failed: (error) => tell('background_failed', { task: 'revocations', reason: String(error) }),
    told(entries) {
      const deleted = entries.flatMap((entry) =>
        entry.kind === 'user' && entry.reason === 'account-deleted' ? [entry.userId] : [],
      );
      if (deleted.length > 0) accountsDeleted(deleted);
    },
    heard(news) {
      if (news > 0) verifier.forget(revocations.isRevoked);
      for (const endRevoked of ended) endRevoked((access) => revocations.find(subjectOf(access))?.reason);
    },
  });
  const verifier = createVerifier({
    keys: trusted.keys,
    issuer: config.JWT_ISSUER,
    audience: 'chat-proxy',
    profile: config.JWT_CLAIMS_PROFILE,
    isRevoked: revocations.isRevoked,
    clock,
  });
  const { isRevoked } = revocations;
  const { verifyKey, close } = createRemoteKeys({ baseUrl, token, goodMs: config.KEY_CACHE, isRevoked, clock });
  closers.add('revocations', revocations);
  closers.addClose('keys', close);
  const { verifyAccess } = verifier;
  return {
    authenticate: createAuthenticator({ verifyAccess, verifyKey, defaultWorkspaceId: config.DEFAULT_WORKSPACE_ID }),
    verifyKey,
    revocations,
    checks: trusted.checks,
    alsoEnds: (endRevoked) => void ended.push(endRevoked),
  };
}

const MILLISECONDS = 1000;

const subjectOf = ({ userId, sessionId, workspaceId, version, memberVersion, apiKey, issuedAt }: Access) => ({
  sub: userId,
  iat: issuedAt / MILLISECONDS,
  sid: sessionId,
  wid: workspaceId,
  ver: version,
  mver: memberVersion,
  keyId: apiKey?.id,
});
