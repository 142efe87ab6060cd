import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { manualClock, type ManualClock } from '@tollgate/test-kit';
import type { Deps } from '../../src/deps.ts';
import { Auth, PASSWORD, times } from '../auth.ts';
import { instanceOf } from './log.ts';

const OPERATOR = 'operator@example.test';
const MINUTE_MS = 60_000;
let clock: ManualClock;
let auth: Auth;
let instances: Deps[];
beforeEach(async () => {
  clock = manualClock();
  auth = await Auth.start({
    clock,
    env: { ALERT_MAIL_TO: OPERATOR, TRUST_PROXY_HOPS: '1', ALERT_EXPORT_ROWS: '1000' },
  });
  instances = await Promise.all([instanceOf(auth, clock), instanceOf(auth, clock)]);
});
afterEach(async () => {
  await Promise.all(instances.map((deps) => deps.close()));
  await auth.stop();
});

/** Both instances look, several times at once. */
const look = () => Promise.all([...instances, ...instances].map(({ flows }) => flows.raiseAlerts()));
const alerts = async () => (await auth.auditOf('alert.raised')).map(({ facts }) => facts);
const fail = (username: string, ip = '203.0.113.7') =>
  auth.post('/api/auth/login', { username, password: 'not-the-password' }, { headers: { 'x-forwarded-for': ip } });
const first = () => instances[0] as Deps;
const report = (action: 'access.refused' | 'export.made', userId: string, facts: object) =>
  first().flows.takeReports('accounting', [{ action, eventId: randomUUID(), actorId: userId, facts } as never]);

describe('password spraying', () => {
  it('of 50 names at once from one address raises one alert, in the audit log, the metrics and the mail', async () => {
    await times(50, (n) => fail(`name-${n}`));
    await look();
    await look();
    // A round of the service may have looked before the last of them had failed.
    expect(await alerts()).toEqual([
      { rule: 'password-spraying', about: '203.0.113.7', count: expect.any(Number), windowSeconds: 900 },
    ]);
    const mail = await auth.mails.waitForMail(OPERATOR);
    expect([mail.subject, mail.text]).toEqual(['Alert: password-spraying', expect.stringContaining('203.0.113.7')]);
    const metrics = await Promise.all([first(), instances[1] as Deps].map((deps) => deps.metrics.text()));
    expect(metrics.every((text) => text.includes('tollgate_alert_raised_total{rule="password-spraying"'))).toBe(true);
  });

  it('is counted by names within 15 minutes and by the network of one customer', async () => {
    const network = (n: number) => `2001:db8:1:2::${n.toString(16)}`;
    for (let n = 0; n < 19; n += 1) await fail(`name-${n}`, network(n));
    await fail('name-3', network(3));
    await fail('name-20', '2001:db8:1:3::1');
    await look();
    expect(await alerts()).toEqual([]);
    clock.advance(14 * MINUTE_MS);
    await fail('NAME-19', network(99));
    await look();
    expect(await alerts()).toMatchObject([{ about: '2001:db8:1:2::/64', count: 20 }]);
    clock.advance(2 * MINUTE_MS);
    await fail('another', network(5));
    await look();
    expect(await alerts()).toHaveLength(1);
  });

  it('stores no identifier that was typed', async () => {
    await fail('my-secret-password-in-the-wrong-field');
    expect(JSON.stringify(await auth.auditOf('session.refused'))).not.toContain('my-secret');
  });
});

describe('the theft of a token family', () => {
  it('raises an alert, once', async () => {
    const alice = await auth.loggedIn();
    await auth.refresh(alice.refreshToken);
    clock.advance(MINUTE_MS);
    await Promise.all([auth.refresh(alice.refreshToken), auth.refresh(alice.refreshToken)]);
    await look();
    await look();
    expect(await alerts()).toMatchObject([{ rule: 'token-theft', count: 1 }]);
  });
});

describe('authorisation failures', () => {
  it('of one user raise an alert at the tenth within 15 minutes, and again when it goes on for another 15', async () => {
    const [alice, bob] = [await auth.loggedIn(), await auth.loggedIn('bob')];
    const refused = (token: string) => auth.call('GET', '/api/admin/users', { token });
    await times(9, () => refused(alice.accessToken));
    await times(3, () => refused(bob.accessToken));
    await untilRefused(12);
    await look();
    expect(await alerts()).toEqual([]);
    await refused(alice.accessToken);
    await untilRefused(13);
    await look();
    expect(await alerts()).toMatchObject([{ rule: 'authorisation-failures', about: alice.userId, count: 10 }]);
    clock.advance(16 * MINUTE_MS);
    await report('access.refused', alice.userId, { code: 'forbidden', operation: 'readReports', count: 10 });
    await look();
    expect(await alerts()).toHaveLength(2);
  });

  const untilRefused = async (wanted: number) => {
    for (;;) {
      const lines = await auth.auditOf('access.refused');
      const count = lines.reduce((sum, { facts }) => sum + Number(Object(facts).count), 0);
      if (count >= wanted) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
});

describe('exports', () => {
  it('of more rows than configured within an hour raise an alert', async () => {
    const alice = 'a'.repeat(24);
    const facts = { file: 'usage.csv', rows: 400, isComplete: true };
    await report('export.made', alice, facts);
    clock.advance(50 * MINUTE_MS);
    await report('export.made', alice, facts);
    await look();
    expect(await alerts()).toEqual([]);
    clock.advance(11 * MINUTE_MS);
    await report('export.made', alice, { ...facts, rows: 300 });
    await look();
    expect(await alerts()).toEqual([]);
    await report('export.made', alice, { ...facts, rows: 300 });
    await look();
    expect(await alerts()).toMatchObject([{ rule: 'export-volume', about: alice, count: 1000 }]);
  });
});

it('raises an alert by itself within its interval', async () => {
  await auth.stop();
  auth = await Auth.start({ env: { ALERT_MAIL_TO: OPERATOR, ALERT_INTERVAL: '1s' } });
  await times(20, (n) => auth.logIn(`name-${n}`, PASSWORD));
  await auth.mails.waitForMail(OPERATOR);
  expect(await alerts()).toHaveLength(1);
});
