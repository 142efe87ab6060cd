import { randomUUID } from 'node:crypto';
import type { HoldId, UserId } from '@tollgate/contracts';
import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';
import { systemClock } from '@tollgate/test-kit';
import { accountingClient } from '../../../services/chat-proxy/src/clients/accounting.ts';
import type { Payer } from '../stage/accounts.ts';
import type { World } from '../stage/world.ts';
import { inTurns } from './columns.ts';
import { byCalling, type Open } from './drive.ts';

const WAIT_MS = 30_000;
const NEVER = 1_000_000;
const RESOURCE = { upstream: 'openai', model: 'fast' } as const;
const MOST_UNITS = { request: 1, input: 64, output: 64 } as const;
const UNITS = { request: 1, input: 12, output: 20 } as const;

/** A hold and its settlement at an accounting service, over HTTP, by the client of the proxy: as answers of ours do it. */
export function holdingAt(url: string, { environments }: Pick<World, 'environments'>, payers: readonly Payer[]): Open {
  const [kid = '', secret = ''] = (environments.chatProxy['JWT_SERVICE_SECRET'] ?? '').split(':');
  const tokens = createServiceTokenSource({ service: 'chat-proxy', keys: [{ kid, secret }] });
  const next = inTurns(payers);
  return (connections) => {
    const client = accountingClient({
      baseUrl: url,
      timeoutMs: WAIT_MS,
      connections: 64,
      closingConnections: 16,
      breakAfter: NEVER,
      breakMs: 1,
      clock: systemClock,
      token: () => tokens.tokenFor('accounting'),
    });
    const holdAndSettle = async (): Promise<void> => {
      const { userId: user, token } = next();
      const [holdId, userId] = [randomUUID() as HoldId, user as UserId];
      await client.hold(
        { userId, token, username: user, issuedAt: 0 },
        { holdId, resource: RESOURCE, units: MOST_UNITS },
      );
      await client.end(holdId, userId, { kind: 'settle', outcome: 'completed', units: UNITS, usageSource: 'provider' });
    };
    return byCalling(holdAndSettle, () => client.close())(connections);
  };
}
