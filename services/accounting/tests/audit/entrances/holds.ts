import { randomUUID } from 'node:crypto';
import type { User } from '../../harness/accounting.ts';
import { ACCOUNT, claimsOf, type Entrances, HOLD, type World } from './entrance.ts';

const line = { flat: 0, base: 0, slope: 1, divisor: 1 };
const holdOf = (user: User, holdId: string = randomUUID()) => ({
  hold_id: holdId,
  claims: claimsOf(user),
  opened_by: 'chat-proxy',
  open_key: holdId,
  open_hash: 'h',
  upstream: 'openai',
  model: 'priced',
  units: { output: 5 },
  line,
  output: 5,
  lease_seconds: 60,
  actor: 'test',
});

const open = ({ alice, log }: World, holdId?: string) =>
  log.of('SELECT * FROM ledger.open_holds($1, true)', [JSON.stringify([holdOf(alice, holdId)])]);

/** What names an open hold to its owner. */
async function held(world: World) {
  const holdId = randomUUID();
  await open(world, holdId);
  return { hold_id: holdId, user_id: world.alice.userId, opened_by: 'chat-proxy' };
}

const settle = async (world: World, hold: object) =>
  world.log.of('SELECT * FROM ledger.close_holds($1, true)', [
    JSON.stringify([
      {
        ...hold,
        cause: 'settle',
        charge: 3,
        outcome: 'completed',
        units: { output: 3 },
        close_key: 'k',
        close_hash: 'h',
        policy: 'absorb',
        actor: 'test',
      },
    ]),
  ]);

export const holds = (world: World): Entrances => ({
  open_holds: { guard: ACCOUNT, run: () => open(world) },
  extend_hold: {
    guard: ACCOUNT,
    run: async () =>
      world.log.ofCall('extend_hold', 'extension_request', {
        ...(await held(world)),
        fence: 1,
        units: { output: 9 },
        line,
        output: 9,
        actor: 'test',
      }),
  },
  renew_holds: {
    guard: HOLD,
    run: async () =>
      world.log.of('SELECT * FROM ledger.renew_holds($1, 60)', [
        JSON.stringify([{ ...(await held(world)), fence: 1 }]),
      ]),
  },
  close_holds: { guard: HOLD, run: async () => settle(world, await held(world)) },
  deduct_credits: {
    guard: ACCOUNT,
    run: () =>
      world.log.of(
        "SELECT * FROM ledger.deduct_credits(jsonb_populate_record(NULL::ledger.hold_request, $1), 5, 'x')",
        [JSON.stringify({ ...holdOf(world.alice), opened_by: 'user' })],
      ),
  },
  refund_credits: {
    guard: ACCOUNT,
    async run() {
      const hold = await held(world);
      await settle(world, hold);
      return world.log.ofCall('refund_credits', 'refund_request', { ...hold, credits: 1, actor: 'test', reason: 'x' });
    },
  },
});
