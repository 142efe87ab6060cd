import { createHash, randomUUID } from 'node:crypto';
import { ACCOUNT, ADVISORY, claimsOf, type Entrances, type World } from './entrance.ts';

export const payments = ({ alice, log }: World): Entrances => {
  const order = { claims: claimsOf(alice), provider: 'stripe', credits: 10, amount_minor: 100, currency: 'EUR' };
  return {
    create_topup: { guard: ACCOUNT, run: () => log.ofCall('create_topup', 'topup_request', order) },
    receive_payment: {
      guard: ADVISORY,
      async run() {
        const { rows } = await log.client.query(
          'SELECT id FROM ledger.create_topup(jsonb_populate_record(NULL::ledger.topup_request, $1))',
          [JSON.stringify(order)],
        );
        return log.ofCall('receive_payment', 'payment_event', {
          provider: 'stripe',
          event_id: randomUUID(),
          type: 'paid',
          kind: 'paid',
          order_id: rows[0]?.id,
          payment_id: randomUUID(),
          amount_minor: 100,
          currency: 'EUR',
          body_sha256: 'x',
          policy: 'absorb',
        });
      },
    },
  };
};

export const vouchers = ({ alice, log }: World): Entrances => {
  const hashOf = (code: string) => createHash('sha256').update(code).digest('hex');
  const make = (code: string) =>
    log.ofCall('create_vouchers', 'voucher_request', {
      hashes: [hashOf(code)],
      credits: 5,
      redeemable_until: new Date(Date.now() + 60_000).toISOString(),
      actor: 'test',
    });
  return {
    // New rows; the hash of a code is unique.
    create_vouchers: {
      guard: /^INSERT INTO vouchers .*WHERE .*redeemable_until > ledger_now\(\)/,
      run: () => make('a'),
    },
    redeem_voucher: {
      guard: ACCOUNT,
      async run() {
        await make('b');
        return log.of(
          "SELECT * FROM ledger.redeem_voucher(jsonb_populate_record(NULL::ledger.account_claims, $1), $2, 'test', 'r')",
          [JSON.stringify(claimsOf(alice)), hashOf('b')],
        );
      },
    },
    void_voucher: {
      guard: /^UPDATE vouchers SET .* WHERE id = p_id AND redeemed_at IS NULL AND voided_at IS NULL/,
      async run() {
        await make('c');
        return log.of("SELECT ledger.void_voucher(max(id), 'test') FROM vouchers");
      },
    },
  };
};
