import { followRevocations, type RevocationFollower } from '@tollgate/http-kit/revocations';
import { createVerifier, type Verifier, type VerifierOptions } from '@tollgate/jwt-claims';
import type { Logger, Metrics } from '@tollgate/telemetry';
import { serviceToken } from './clients/service-token.ts';
import type { Config } from './config.ts';

type Surroundings = { keys: VerifierOptions['keys']; logger: Logger; metrics: Metrics };
type Admission = {
  verifyAccess: Verifier['verifyAccess'];
  /** Absent where no auth service is configured: then tokens count until they expire. */
  revocations: Pick<RevocationFollower, 'start' | 'close'> | undefined;
};

/** Which users are let in: those whose token verifies here and was not revoked by auth since. */
export function createAdmission(config: Config, { keys, logger, metrics }: Surroundings): Admission {
  const { issuer, profile } = config.tokens;
  const own = { keys, issuer, audience: 'accounting', profile } as const;
  if (config.auth.url === undefined) return { ...createVerifier(own), revocations: undefined };

  const revocations = followRevocations({
    baseUrl: config.auth.url,
    token: serviceToken(config.tokens.serviceKeys, 'auth'),
    everyMs: config.auth.revocationsPollMs,
    clock: { now: () => Date.now() },
    failed: (error) => logger.warn('auth does not tell which access tokens were revoked', { error }),
    heard: (news) => void (news > 0 && verifier.forget(revocations.isRevoked)),
  });
  const verifier = createVerifier({ ...own, isRevoked: revocations.isRevoked });
  metrics.gauge({
    name: 'tollgate_revocations_age_seconds',
    help: 'Since auth has last told which access tokens were revoked; without it they go on working until they expire',
    read: () => revocations.ageSeconds(),
  });
  return { verifyAccess: verifier.verifyAccess, revocations };
}
