import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readAccountingConfig } from '../../src/config.ts';
import { nextTry } from '../../src/domain/retry.ts';

const PACE = { firstRetrySeconds: 5, longestRetrySeconds: 3600, giveUpSeconds: 259_200 };
const after = (attempts: number, random: number, afterSeconds?: number) =>
  nextTry({ attempts, ageSeconds: 0, afterSeconds }, PACE, random);

describe('the pause before the next try', () => {
  it('doubles up to the longest, somewhere in its second half', () => {
    expect([1, 2, 3, 4].map((attempts) => after(attempts, 1))).toEqual([5, 10, 20, 40]);
    expect([1, 2, 3, 4].map((attempts) => after(attempts, 0))).toEqual([2.5, 5, 10, 20]);
    expect([after(50, 1), after(2_000_000, 0)]).toEqual([3600, 1800]);
  });

  it('is what the receiver asks for, within the longest', () => {
    expect([after(1, 0, 100), after(1, 0, 1), after(1, 0, 1_000_000)]).toEqual([100, 2.5, 3600]);
  });

  it('lets an event be tried for the whole time and not beyond it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 200, maxLength: 200 }),
        (randoms) => {
          let ageSeconds = 0;
          for (const [n, random] of randoms.entries()) {
            const pause = nextTry({ attempts: n + 1, ageSeconds }, PACE, random);
            if (pause === undefined) break;
            ageSeconds += pause;
          }
          expect(ageSeconds).toBeLessThanOrEqual(PACE.giveUpSeconds);
          expect(ageSeconds).toBeGreaterThan(PACE.giveUpSeconds - PACE.longestRetrySeconds);
        },
      ),
      { numRuns: 50 },
    );
  });
});

const key = () => randomBytes(36).toString('base64url');
const BASE = { NODE_ENV: 'test', DATABASE_URL: 'postgres://x/y', JWT_ACCESS_SECRET: key(), JWT_SERVICE_SECRET: key() };
const whsec = (bytes: number) => `whsec_${randomBytes(bytes).toString('base64')}`;
const URLS = { WEBHOOK_URLS: 'https://hooks.example.test/in' };

const faultsOf = (env: Record<string, string>): string => {
  try {
    readAccountingConfig({ ...BASE, ...env });
    return '';
  } catch (error) {
    return String(error);
  }
};

describe('the configuration of deliveries', () => {
  it('takes receivers with one secret, or two while they change over', () => {
    const [current, previous] = [whsec(24), whsec(64)];
    const { webhooks, mail } = readAccountingConfig({ ...BASE, ...URLS, WEBHOOK_SECRET: `${current},${previous}` });
    expect(webhooks.secrets.map((secret) => secret.reveal())).toEqual([current, previous]);
    expect(webhooks).toMatchObject({ urls: ['https://hooks.example.test/in'], allowPrivate: false });
    expect(mail).toBeUndefined();
    expect(JSON.stringify(webhooks)).not.toContain(current);
  });

  it.each([
    ['receivers without a secret', {}, 'WEBHOOK_SECRET'],
    ['a secret that is not of Standard Webhooks', { WEBHOOK_SECRET: key() }, 'WEBHOOK_SECRET'],
    ['a secret that is no base64', { WEBHOOK_SECRET: 'whsec_%%%%' }, 'WEBHOOK_SECRET'],
    ['a short secret', { WEBHOOK_SECRET: whsec(23) }, '24 to 64 bytes'],
    ['a long secret', { WEBHOOK_SECRET: whsec(65) }, '24 to 64 bytes'],
    ['a secret that repeats itself', { WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 1).toString('base64')}` }, 'random'],
    ['three secrets', { WEBHOOK_SECRET: [whsec(32), whsec(32), whsec(32)].join(',') }, 'more than two'],
    ['a receiver that is no web address', { WEBHOOK_URLS: 'ftp://x.test', WEBHOOK_SECRET: whsec(32) }, 'WEBHOOK_URLS'],
    ['a password in an address', { WEBHOOK_URLS: 'https://a:b@x.test', WEBHOOK_SECRET: whsec(32) }, 'password'],
    ['eleven receivers', { WEBHOOK_URLS: elevenUrls(), WEBHOOK_SECRET: whsec(32) }, 'at most 10'],
    ['operators without a mail server', { ALERT_MAIL_TO: 'a@example.test', WEBHOOK_SECRET: whsec(32) }, 'SMTP_URL'],
    ['an operator who is no address', { ALERT_MAIL_TO: 'a', WEBHOOK_SECRET: whsec(32) }, 'ALERT_MAIL_TO'],
    ['a lease within the time-out', { OUTBOX_LEASE: '10s', WEBHOOK_SECRET: whsec(32) }, 'OUTBOX_LEASE'],
  ])('refuses %s', (_what, env, fault) => {
    expect(faultsOf({ ...URLS, ...env })).toContain(fault);
  });

  it('refuses in production what tests may do', () => {
    const env = {
      NODE_ENV: 'production',
      WEBHOOK_URLS: 'http://hooks.example.test',
      WEBHOOK_SECRET: whsec(24),
      WEBHOOK_ALLOW_PRIVATE: 'true',
      OUTBOX_GIVE_UP: '23h',
      SMTP_URL: 'smtp://mail.example.test',
    };
    const faults = faultsOf(env);
    for (const name of ['WEBHOOK_URLS', 'WEBHOOK_SECRET', 'WEBHOOK_ALLOW_PRIVATE', 'OUTBOX_GIVE_UP', 'MAIL_FROM'])
      expect(faults).toContain(name);
  });
});

function elevenUrls(): string {
  return Array.from({ length: 11 }, (_, n) => `https://x${n}.test`).join(',');
}
