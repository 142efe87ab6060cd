import { createLogIn } from '../src/flows/sessions/log-in.ts';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@tollgate/test-kit';
import { Auth, type Answer, newPerson, PASSWORD, statuses, times } from './auth.ts';

let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start({ env: { ENABLE_TESTING_ROUTES: 'true' } });
});
afterAll(() => auth.stop());

/** Everything an observer can compare, without ids, dates and the length that follows from them. */
function shape({ status, text, headers }: Answer): object {
  const body = text
    .replaceAll(/"userId":"[0-9a-f]{24}"/g, '"userId"')
    .replaceAll(/"requestId":"[^"]+"/g, '"requestId"');
  const seen = [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name));
  return { status, body, seen };
}

describe('whether an address is known', () => {
  it('is not told by sign-up: same answer, user name taken as well, and a mail to the owner', async () => {
    const [alice, bob, carol] = [await auth.member(), newPerson('bob'), newPerson('carol')];
    const known = await auth.signUp({ ...bob, email: alice.email });
    const unknown = await auth.signUp(carol);
    expect(shape(known)).toEqual(shape(unknown));
    await auth.mails.waitForMail(alice.email, (mail) => mail.subject === 'You already have an account');

    for (const { username } of [bob, carol]) {
      const again = await auth.signUp({ ...newPerson('dave'), username });
      expect([again.status, again.body.error]).toEqual([400, 'Username already exists']);
      expect((await auth.logIn(username, PASSWORD)).body.code).toBe('email_not_verified');
      expect((await auth.logIn(username, 'not-the-password')).body.code).toBe('invalid_credentials');
    }
    const observer = await auth.loggedIn('observer');
    for (const { body } of [known, unknown]) {
      expect((await auth.call('GET', `/api/auth/users/${body.userId}`, { token: observer.accessToken })).status).toBe(
        404,
      );
    }
    expect((await auth.logIn(alice.email, PASSWORD)).body.user.username).toBe(alice.username);
  });

  it('is not turned into an account by any other way, not even by the testing routes', async () => {
    const [alice, bob, root] = [await auth.member(), newPerson('bob'), await auth.admin()];
    const { body } = await auth.signUp({ ...bob, email: alice.email });
    const { body: code } = await auth.call('GET', `/api/testing/verification-token/${body.userId}`);
    expect((await auth.post('/api/auth/verify-email', { token: code.token })).status).toBe(400);
    expect((await auth.post(`/api/testing/verify-user/${body.userId}`)).status).toBe(404);
    expect((await auth.call('GET', `/api/admin/users/${body.userId}`, { token: root.accessToken })).status).toBe(404);
    expect((await auth.logIn(bob.username, PASSWORD)).status).toBe(401);
  });

  it('is not told by login, forgot-password and resend-verification', async () => {
    const alice = await auth.member();
    const stranger = newPerson('stranger');
    const answersFor = (person: { username: string; email: string }) =>
      Promise.all([
        auth.logIn(person.username, 'not-the-password'),
        auth.logIn(person.email, 'not-the-password'),
        auth.post('/api/auth/forgot-password', { email: person.email }),
        auth.post('/api/auth/resend-verification', { email: person.email }),
      ]);
    const [known, unknown] = [await answersFor(alice), await answersFor(stranger)];
    expect(known.map(shape)).toEqual(unknown.map(shape));
    expect(known.map(({ status }) => status)).toEqual([401, 401, 200, 200]);
    await auth.mails.waitForMail(alice.email, (mail) => mail.subject === 'Choose a new password');
    expect(auth.mails.mails(stranger.email)).toEqual([]);
  });

  it('costs a login one check of a password whether the name is known or not', async () => {
    const checked: (string | undefined)[] = [];
    const passwords = {
      hash: async () => 'unused',
      check: async (_password: string, storedHash: string | undefined) => {
        checked.push(storedHash);
        return { matches: false, outdated: false };
      },
    };
    const logIn = createLogIn({
      passwords,
      limits: {
        spend: async () => undefined,
        guess: async (_limit: string, _key: string, prove: () => unknown) => prove(),
        tryOut: async (_limit: string, _key: string, prove: () => unknown) => prove(),
      },
      users: { findByName: async (key: string) => (key === 'alice' ? { passwordHash: 'stored' } : undefined) },
      clock: { now: () => 0 },
      devices: { read: () => undefined },
      secrets: { hashIdentifier: (key: string) => key },
      events: { record: async () => undefined },
    } as unknown as Parameters<typeof createLogIn>[0]);
    for (const name of ['alice', 'nobody']) {
      await expect(
        logIn({ identifier: name, password: 'not-the-password' }, { ip: '192.0.2.1', userAgent: '', requestId: 'r' }),
      ).rejects.toThrow('Invalid credentials');
    }
    expect(checked).toEqual(['stored', undefined]);
  });
});

/** Fifty password hashes take their time where others work as well. */
const HASHING_MS = 120_000;

describe('simultaneous sign-ups', () => {
  it(
    'open one account for 50 spellings of one name and address',
    async () => {
      const { username, email } = newPerson('straße');
      const address = email.replace('straße', 'street');
      const spellings = [
        username,
        username.toUpperCase(),
        username.replace('ß', 'SS'),
        username.replace('s', 'ｓ'),
        username.replace('t', 'T'),
      ];
      const answers = await times(50, (index) =>
        auth.signUp({
          username: spellings[index % spellings.length] ?? '',
          email: index % 2 === 0 ? address : address.toUpperCase(),
          password: PASSWORD,
        }),
      );
      // A form that comes a second time is answered like the first; every other spelling finds the name taken.
      const opened = answers.filter(({ status }) => status === 201);
      expect(statuses(answers)).toEqual({ 201: opened.length, 400: 50 - opened.length });
      expect(new Set(opened.map(({ body }) => body['userId'])).size).toBe(1);
      expect(opened.length).toBeLessThan(50);
      expect(await auth.db.collection('users').countDocuments({ email: address })).toBe(1);
    },
    HASHING_MS,
  );

  it.each(['free', 'known'] as const)(
    'that are repeated by whoever lost the answer are answered as the first time, with a %s address',
    async (kind) => {
      const alice = await auth.member();
      const form = { ...newPerson('lost'), password: PASSWORD, ...(kind === 'known' && { email: alice.email }) };
      const first = await auth.signUp(form);
      const again = await auth.signUp(form);
      expect([first.status, again.status, again.body]).toEqual([201, 201, first.body]);
      expect(await auth.db.collection('users').countDocuments({ username: form.username })).toBe(1);
      const other = [{ password: 'an entirely other one' }, { email: 'else@example.test' }];
      for (const change of other)
        expect((await auth.signUp({ ...form, ...change })).body).toMatchObject({ code: 'duplicate_username' });
      const both = async () => (auth.mails.mails(form.email).length >= 2 ? true : undefined);
      await eventually(both, 'a mail for each');
    },
    HASHING_MS,
  );

  it(
    'open one account for 50 names with one address, and answer all alike',
    async () => {
      const { email } = newPerson('shared');
      const answers = await times(50, () => auth.signUp({ ...newPerson('name'), email }));
      expect(statuses(answers)).toEqual({ 201: 50 });
      expect(await auth.db.collection('users').countDocuments({ emailKey: email })).toBe(1);
    },
    HASHING_MS,
  );
});
