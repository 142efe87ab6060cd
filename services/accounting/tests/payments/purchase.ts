import type { Accounting, User } from '../harness/accounting.ts';
import { dispute, type Order, refundedCharge, stripe } from './webhooks.ts';

/** A paid order, what its user does with the credits, and what the provider says of it later. */
export class Purchase {
  readonly accounting: Accounting;
  readonly #bought: Order;
  readonly #admin: User;

  constructor(accounting: Accounting, bought: Order, admin: User) {
    this.accounting = accounting;
    this.#bought = bought;
    this.#admin = admin;
  }

  hold = (credits: number) => this.accounting.held(this.#bought.alice, credits);
  void = async (holdId: string) =>
    this.accounting.expect(200, await this.accounting.void(this.#bought.alice, holdId)).body;
  settle = async (holdId: string, credits: number) =>
    this.accounting.expect(200, await this.accounting.settle(this.#bought.alice, holdId, credits)).body;
  grant = (credits: number) => this.accounting.grant(this.#bought.alice, { credits });
  goesBack = async (cents?: number) =>
    this.accounting.expect(200, await stripe(this.accounting, 'charge.refunded', refundedCharge(this.#bought, cents)))
      .body;
  isChargedBack = async () =>
    this.accounting.expect(200, await stripe(this.accounting, 'charge.dispute.created', dispute(this.#bought))).body;

  async refund(holdId: string, credits: number) {
    const body = { holdId, credits, reason: 'It was no answer' };
    return this.accounting.expect(
      201,
      await this.accounting.call('POST', '/api/credits/refunds', { token: this.#admin.token, body }),
    ).body;
  }

  /** A hold that its lease closed at a checkpoint. */
  async sweep(holdId: string, checkpoint: number) {
    await this.accounting.renew(this.#bought.alice, holdId, { checkpoint: { output: checkpoint } });
    await this.accounting.advanceClock(1);
    await this.accounting.flows.sweepHolds();
  }

  /** What the books say: of the lot [remaining, held, consumed, expired, revoked], of the order [taken back, shortfall]. */
  async books() {
    const { db } = this.accounting;
    const { rows } = await db.query(
      `SELECT o.allocation_id AS lot, o.taken_back_credits AS taken, o.shortfall_credits AS shortfall, a.debt_credits AS debt,
              (SELECT recall_credits FROM credit_allocations l WHERE l.id = o.allocation_id) AS recall,
              o.user_id AS id
       FROM topup_orders o JOIN user_accounts a ON a.id = o.user_id WHERE o.id = $1`,
      [this.#bought.orderId],
    );
    const { lot, taken, shortfall, debt, recall, id } = rows[0];
    const sums = await db.query<{ account: string; sum: string }>(
      `SELECT account, sum(amount) AS sum FROM credit_entries e JOIN credit_transactions t ON t.id = e.transaction_id
       WHERE t.user_id = $1 AND account NOT LIKE 'user:%' GROUP BY account HAVING sum(amount) <> 0`,
      [id],
    );
    return {
      faults: [...(await this.accounting.faults()), ...(await this.#unexplained(id))],
      balance: Object.values(await this.accounting.balance(this.#bought.alice)),
      lot: await this.accounting.lot(Number(lot)),
      order: [Number(taken), Number(shortfall)],
      toRecall: Number(recall),
      debt: Number(debt),
      entries: Object.fromEntries(sums.rows.map(({ account, sum }) => [account, Number(sum)])),
    };
  }

  async #unexplained(userId: string) {
    const { rows } = await this.accounting.db.query('SELECT id FROM credit_transactions WHERE user_id = $1', [userId]);
    const faults = rows.map(async ({ id }) => {
      const path = `/api/credits/transactions/${id}/explain`;
      const { body } = await this.accounting.call('GET', path, { token: this.#admin.token });
      return body['matches'] === true ? [] : [id, body];
    });
    return (await Promise.all(faults)).flat();
  }
}
