import { followRevocations, type RevocationFollower } from '@tollgate/http-kit/revocations';
import { createVerifier, type Verifier, type VerifierOptions } from '@tollgate/jwt-claims';
import { serviceToken } from './clients/service-token.ts';
import type { Config } from './config.ts';
import type { Access } from './domain/access.ts';
import type { Tell } from './domain/facts.ts';
import type { Clock } from './ports.ts';

interface Surroundings {
  readonly keys: VerifierOptions['keys'];
  readonly clock: Clock;
  readonly tell: Tell;
  /** Told after every answer of auth: why an access has ended, if it has. */
  readonly ended: (reasonOf: (access: Access) => string | undefined) => void;
}

export interface Admission {
  readonly verifyAccess: Verifier['verifyAccess'];
  readonly revocations: Pick<RevocationFollower, 'start' | 'close' | 'ageSeconds'>;
}

/** Who is let in: a token that verifies here, and that auth has not revoked since. */
export function createAdmission(config: Config, { keys, clock, tell, ended }: Surroundings): Admission {
  const revocations = followRevocations({
    baseUrl: config.AUTH_API_URL,
    token: serviceToken(config.JWT_SERVICE_SECRET, 'auth'),
    everyMs: config.REVOCATIONS_POLL,
    clock,
    failed: (error) => tell('background_failed', { task: 'revocations', reason: String(error) }),
    heard(news) {
      if (news > 0) verifier.forget(revocations.isRevoked);
      ended((access) => revocations.find(subjectOf(access))?.reason);
    },
  });
  const verifier = createVerifier({
    keys,
    issuer: config.JWT_ISSUER,
    audience: 'chat-proxy',
    profile: config.JWT_CLAIMS_PROFILE,
    isRevoked: revocations.isRevoked,
  });
  return { verifyAccess: verifier.verifyAccess, revocations };
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
