import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { readCommonPasswords } from '../../src/clients/common-passwords.ts';
import { faultOfPassword, type PasswordRules } from '../../src/domain/password-rules.ts';
import { Auth, type LoggedIn, newPerson, PASSWORD, tokenIn } from '../auth.ts';

let auth: Auth | undefined;
afterEach(() => auth?.stop());

let rules: PasswordRules;
beforeAll(async () => {
  rules = { minLength: 8, needsMixture: false, common: await readCommonPasswords() };
});
const owner = { username: 'alice.liddell', email: 'rabbit-hole@example.test' };

describe('a new password', () => {
  it('is refused when it is the name, the address or the product in look-alike signs', () => {
    for (const password of [
      'T0llg4te',
      't0||gate2024'.replaceAll('|', '1'),
      '@l1c3.l!dd3ll',
      'r4bb1t-h0l3',
      'Fl0w1$e!!',
    ])
      expect([password, faultOfPassword(password, owner, rules)]).not.toEqual([password, undefined]);
    for (const password of ['toll on the old gate', 'alice met a liddell', 'rabbits dig holes', '[.*+?^${}()|]\\-'])
      expect([password, faultOfPassword(password, owner, rules)]).toEqual([password, undefined]);
  });

  it('is judged alike when the name holds the signs of a pattern', () => {
    const odd = { username: 'a.+b', email: 'x[y]-z^w@example.test' };
    expect(faultOfPassword('aXXb-and-more', odd, rules)).toBeUndefined();
    expect(faultOfPassword('x[y]-z^w123', odd, rules)).toBeDefined();
  });

  it('needs a mixture only where an installation asks for it', () => {
    const strict = { ...rules, needsMixture: true };
    for (const password of ['a-long-walk-in-the-rain', 'A-LONG-WALK-1', 'Along1walk', 'A-long-walk'])
      expect([password, faultOfPassword(password, owner, strict)]).toEqual([password, expect.any(String)]);
    expect(faultOfPassword('A-long-walk-1', owner, strict)).toBeUndefined();
  });

  it('is refused when it is the current one or one of the five before, at change, reset and by an administrator', async () => {
    auth = await Auth.start();
    const [alice, root] = [await auth.loggedIn(), await auth.admin()];
    const former = [PASSWORD];
    for (const round of [1, 2, 3, 4, 5]) {
      const next = `walk-number-${round}-home`;
      expect((await change(auth, alice, former.at(-1) ?? '', next)).status).toBe(200);
      former.push(next);
    }
    const current = former.at(-1) ?? '';
    for (const old of [former[0] ?? '', former[3] ?? '', current])
      expect((await change(auth, alice, current, old)).body.code).toBe('weak_password');
    const path = `/api/admin/users/${alice.userId}/reset-password`;
    const set = await auth.post(path, { newPassword: former[1] }, { token: root.accessToken });
    expect(set.body.code).toBe('weak_password');
    await auth.post('/api/auth/forgot-password', { email: alice.email });
    const token = tokenIn(
      await auth.mails.waitForMail(alice.email, (mail) => mail.subject === 'Choose a new password'),
    );
    const reset = (newPassword: string) => auth?.post('/api/auth/reset-password', { token, newPassword });
    expect((await reset(former[2] ?? ''))?.body.code).toBe('weak_password');
    expect((await reset('a-sixth-walk-by-the-sea'))?.status).toBe(200);
    const again = await auth.session({ ...alice, password: 'a-sixth-walk-by-the-sea' });
    expect((await change(auth, again, again.password, PASSWORD)).status).toBe(200);
    const stored = JSON.stringify(await auth.db.collection('users').find().toArray());
    for (const password of former) expect(stored).not.toContain(password);
  }, 120_000); // some eighty password hashes
});

describe('an old password', () => {
  it('goes on to open sessions unless the installation sets an age', async () => {
    const clock = manualClock();
    auth = await Auth.start({ clock });
    const alice = await auth.member();
    clock.advance(3650 * 86_400_000);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(200);
  });

  it('is refused beyond that age, with a mailed link to the next one, and a wrong one learns nothing', async () => {
    const clock = manualClock();
    auth = await Auth.start({ clock, env: { PASSWORD_MAX_AGE: '90d' } });
    const alice = await auth.member();
    clock.advance(90 * 86_400_000 - 1000);
    expect((await auth.logIn(alice.username, PASSWORD)).status).toBe(200);
    clock.advance(1000);
    expect((await auth.logIn(alice.username, 'not-the-password')).body.code).toBe('invalid_credentials');
    const refused = await auth.logIn(alice.username, PASSWORD);
    expect([refused.status, refused.body.code]).toEqual([403, 'password_expired']);
    const token = tokenIn(
      await auth.mails.waitForMail(alice.email, (mail) => mail.subject === 'Choose a new password'),
    );
    const reset = { token, newPassword: 'quite-another-walk' };
    expect((await auth.post('/api/auth/reset-password', reset)).status).toBe(200);
    expect((await auth.logIn(alice.username, 'quite-another-walk')).status).toBe(200);
    expect(await auth.auditOf('password.expired')).toHaveLength(1);
  });
});

describe('a reset token', () => {
  it('of any other kind, missing, made up, used or expired is answered with one and the same 400', async () => {
    const clock = manualClock();
    auth = await Auth.start({ clock });
    const service = auth;
    const [alice, bob] = [await auth.member(), await auth.member('bob')];
    const tokenOf = async (email: string) => {
      await service.post('/api/auth/forgot-password', { email });
      return tokenIn(await service.mails.waitForMail(email, (mail) => mail.subject === 'Choose a new password'));
    };
    const [hers, his] = [await tokenOf(alice.email), await tokenOf(bob.email)];
    expect(Buffer.from(hers, 'hex')).toHaveLength(32);
    expect(JSON.stringify(await auth.db.collection('mailed_codes').find().toArray())).not.toContain(hers);
    const newPassword = 'quite-another-walk';
    expect((await auth.post('/api/auth/reset-password', { token: hers, newPassword })).status).toBe(200);
    clock.advance(900_000);
    const bad = [
      null,
      '',
      [],
      {},
      0,
      true,
      [his],
      { $ne: null },
      'x'.repeat(5000),
      '0'.repeat(64),
      hers,
      his,
      undefined,
    ];
    const answers = [];
    for (const token of bad) {
      const { body } = await auth.post('/api/auth/reset-password', { token, newPassword });
      answers.push({ ...body, requestId: '' });
    }
    expect(answers[0]).toMatchObject({ status: 400, code: 'invalid_code' });
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect((await auth.logIn(bob.username, PASSWORD)).status).toBe(200);
  });
});

const change = (service: Auth, person: LoggedIn, currentPassword: string, newPassword: string) =>
  service.post('/api/change-password', { currentPassword, newPassword }, { token: person.accessToken });

describe('an e-mail address', () => {
  it('that is a list, holds a line break, quotes, a comment or a second @, or is too long is refused before any mail', async () => {
    auth = await Auth.start();
    const bad = [
      'a@example.test\r\nBcc: b@example.test',
      'a@example.test\nSubject: x',
      '"a b"@example.test',
      'a(comment)@example.test',
      'a@b@example.test',
      'a@example.test,b@example.test',
      'a@example.test;b@example.test',
      '<a@example.test>',
      `${'a'.repeat(64)}@${'b'.repeat(200)}.example.test`,
    ];
    for (const email of bad) {
      const { username, password } = newPerson('alice');
      expect([email, (await auth.post('/api/auth/signup', { username, email, password })).status]).toEqual([
        email,
        400,
      ]);
      expect([email, (await auth.post('/api/auth/forgot-password', { email })).status]).toEqual([email, 400]);
      expect([email, (await auth.post('/api/auth/resend-verification', { email })).status]).toEqual([email, 400]);
    }
    expect(await auth.db.collection('mail_queue').countDocuments()).toBe(0);
    expect(await auth.db.collection('users').countDocuments()).toBe(0);
  });
});
