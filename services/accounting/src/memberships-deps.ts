import { createRounds } from '@tollgate/http-kit';
import type { Clock } from '@tollgate/jwt-claims';
import type { Logger, Metrics } from '@tollgate/telemetry';
import { membershipsOf } from './clients/memberships.ts';
import { serviceToken } from './clients/service-token.ts';
import type { Config } from './config.ts';
import { createFollowMemberships } from './flows/workspaces/follow-memberships.ts';
import type { Members } from './ports.ts';

type Surroundings = { members: Members; logger: Logger; metrics: Metrics; clock: Clock };

/** Follows auth's memberships. Absent where no auth service is configured: then there is only the default workspace. */
export function membershipRounds({ auth, tokens }: Config, { members, logger, metrics, clock }: Surroundings) {
  if (auth.url === undefined) return undefined;
  const client = membershipsOf({ baseUrl: auth.url, token: serviceToken(tokens.serviceKeys, 'auth', clock) });
  const follow = createFollowMemberships({
    members,
    askMemberships: client.ask,
    clock,
  });
  let heardAt = performance.now();
  metrics.gauge({
    name: 'tollgate_memberships_age_seconds',
    help: 'Since auth has last told who belongs to which workspace; until it does, supervisors act on what it told then',
    read: () => (performance.now() - heardAt) / MILLISECONDS,
  });
  const rounds = createRounds(
    async () => {
      await follow();
      heardAt = performance.now();
    },
    {
      everyMs: auth.membershipsPollMs,
      failed: (error) => logger.warn('auth does not tell who belongs to which workspace', { error }),
    },
  );
  return {
    start: rounds.start,
    async close() {
      // Closed first: a question under way would keep the rounds waiting.
      await client.close();
      await rounds.close();
    },
  };
}

const MILLISECONDS = 1000;
