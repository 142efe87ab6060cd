import { randomBytes } from 'node:crypto';
import { type SmtpSink, startSmtpSink, startWebhookSink, type WebhookSink } from '@tollgate/test-kit';
import { Accounting, type User } from '../harness/accounting.ts';
import type { Instance } from '../harness/instance.ts';

const secretOf = () => `whsec_${randomBytes(32).toString('base64')}`;
export const [CURRENT, PREVIOUS] = [secretOf(), secretOf()];
export const OPERATOR = 'operator@example.test';
/** Hours. */
export const DAY = 24;

type Kind = 'webhook' | 'mail';
export type Row = {
  destination: string;
  attempts: number;
  state: 'waiting' | 'delivered' | 'given up';
  last_error: string | null;
  /** Seconds until the next try. */
  pause: number;
};

/** The accounting service with a receiver of webhooks and a mail server. */
export class Delivering {
  readonly accounting: Accounting;
  readonly hooks: WebhookSink;
  readonly mails: SmtpSink;

  private constructor(accounting: Accounting, hooks: WebhookSink, mails: SmtpSink) {
    this.accounting = accounting;
    this.hooks = hooks;
    this.mails = mails;
  }

  static async start(): Promise<Delivering> {
    const [hooks, mails] = await Promise.all([startWebhookSink(), startSmtpSink()]);
    const accounting = await Accounting.start({
      WEBHOOK_URLS: `${hooks.url}/path-secret-1?key=query-secret-2`,
      WEBHOOK_SECRET: `${CURRENT},${PREVIOUS}`,
      WEBHOOK_ALLOW_PRIVATE: 'true',
      // No test depends on how fast a delivery is.
      WEBHOOK_TIMEOUT: '60s',
      SMTP_URL: mails.smtpUrl,
      MAIL_FROM: 'Tollgate <no-reply@example.test>',
      ALERT_MAIL_TO: OPERATOR,
    });
    return new Delivering(accounting, hooks, mails);
  }

  /** Nothing waits and nothing was received. */
  async clear(): Promise<void> {
    this.hooks.clear();
    this.mails.clear();
    this.mails.refuseRecipients();
    await this.accounting.db.query('DELETE FROM outbox');
  }

  /** An account whose balance has just fallen to 10 of 100 credits, which is one event. */
  async lowAccount(): Promise<User> {
    const alice = await this.accounting.user({ credits: 100 });
    const holdId = await this.accounting.held(alice, 90);
    this.accounting.expect(200, await this.accounting.settle(alice, holdId, 90));
    return alice;
  }

  /** What the rounds of an instance do. */
  async deliver(kind: Kind, { deps }: Instance = this.accounting.first): Promise<void> {
    while (await deps.flows.routeEvents());
    for (const channel of deps.channels) if (channel.kind === kind) while (await deps.flows.deliverEvents(channel));
  }

  /** An instance that waits for no receiver. */
  impatient(): Promise<Instance> {
    return this.accounting.another({ WEBHOOK_TIMEOUT: '200ms' });
  }

  async rows(kind: Kind): Promise<Row[]> {
    const { rows } = await this.accounting.db.query<Row>(
      `SELECT destination, attempts, last_error, round(extract(epoch FROM due_at - ledger_now()))::int AS pause,
              CASE WHEN delivered_at IS NOT NULL THEN 'delivered' WHEN given_up_at IS NOT NULL THEN 'given up'
                   ELSE 'waiting' END AS state
       FROM outbox_deliveries WHERE kind = $1 ORDER BY destination`,
      [kind],
    );
    return rows;
  }

  async metric(name: string): Promise<number> {
    const text = await this.accounting.first.deps.metrics.text();
    return Number(new RegExp(`^${name}[{ ].*?([\\d.]+)$`, 'm').exec(text)?.[1]);
  }

  async stop(): Promise<void> {
    await this.accounting.stop();
    await Promise.all([this.hooks.stop(), this.mails.stop()]);
  }
}
