import { followRevocations, type RevocationFollower } from '@tollgate/http-kit/revocations';
import { createRemoteKeys, type RemoteKeys } from '@tollgate/http-kit/keys';
import { type Clock, createVerifier, type Verifier, type VerifierOptions } from '@tollgate/jwt-claims';
import type { Logger, Metrics } from '@tollgate/telemetry';
import { serviceToken } from './clients/service-token.ts';
import type { Config } from './config.ts';

type Surroundings = { keys: VerifierOptions['keys']; logger: Logger; metrics: Metrics; clock: Clock };
type Admission = {
  verifyAccess: Verifier['verifyAccess'];
  /** Absent where no auth service is configured: then tokens count until they expire. */
  revocations: Pick<RevocationFollower, 'start' | 'close'> | undefined;
  /** Absent there too: then API keys are refused. */
  keys: RemoteKeys | undefined;
};

/** Which users are let in: those whose token verifies here and was not revoked by auth since, and those whose key auth knows. */
export function createAdmission(config: Config, { keys: accessKeys, logger, metrics, clock }: Surroundings): Admission {
  const { issuer, profile } = config.tokens;
  const own = { keys: accessKeys, issuer, audience: 'accounting', profile, clock } as const;
  const { url: baseUrl, keyCacheMs: goodMs } = config.auth;
  if (baseUrl === undefined) return { ...createVerifier(own), revocations: undefined, keys: undefined };

  const token = serviceToken(config.tokens.serviceKeys, 'auth', clock);
  const revocations = followRevocations({
    baseUrl,
    token,
    everyMs: config.auth.revocationsPollMs,
    clock,
    failed: (error) => logger.warn('auth does not tell which access tokens were revoked', { error }),
    heard: (news) => void (news > 0 && verifier.forget(revocations.isRevoked)),
  });
  const verifier = createVerifier({ ...own, isRevoked: revocations.isRevoked });
  metrics.gauge({
    name: 'tollgate_revocations_age_seconds',
    help: 'Since auth has last told which access tokens were revoked; without it they go on working until they expire',
    read: () => revocations.ageSeconds(),
  });
  const { isRevoked } = revocations;
  const keys = createRemoteKeys({ baseUrl, token, goodMs, isRevoked, clock });
  return { verifyAccess: verifier.verifyAccess, revocations, keys };
}
