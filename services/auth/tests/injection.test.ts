import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Auth, type LoggedIn, newPerson, PASSWORD, tokenIn } from './auth.ts';

let auth: Auth;
let alice: LoggedIn;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start();
  [alice, root] = [await auth.loggedIn(), await auth.admin()];
  await auth.post('/api/auth/forgot-password', { email: alice.email });
  tokenIn(await auth.mails.waitForMail(alice.email, (mail) => mail.text.includes('token')));
});
afterAll(() => auth.stop());

const NOT_TEXT = [
  { $ne: null },
  { $gt: '' },
  { $regex: '.*' },
  { $where: '1' },
  { $in: ['a'] },
  ['a'],
  [],
  {},
  42,
  true,
  null,
];

/** Accounts, codes and sessions as they are stored. */
const everything = async () =>
  JSON.stringify(
    await Promise.all(
      ['users', 'mailed_codes', 'sessions'].map((name) => auth.db.collection(name).find().sort({ _id: 1 }).toArray()),
    ),
  );

it('refuses operators, arrays and other values in every text field with 400, and changes nothing', async () => {
  const form = newPerson('form');
  const bodies: [method: string, path: string, body: Record<string, unknown>, token?: string][] = [
    ['POST', '/api/auth/login', { username: alice.username, password: PASSWORD }],
    ['POST', '/api/auth/signup', { username: form.username, email: form.email, password: PASSWORD }],
    ['POST', '/api/auth/verify-email', { token: 'abcdef' }],
    ['POST', '/api/auth/resend-verification', { email: alice.email }],
    ['POST', '/api/auth/forgot-password', { email: alice.email }],
    ['POST', '/api/auth/reset-password', { token: 'a'.repeat(64), newPassword: 'quite-another-walk' }],
    [
      'POST',
      '/api/change-password',
      { currentPassword: PASSWORD, newPassword: 'quite-another-walk' },
      alice.accessToken,
    ],
    ['POST', '/api/admin/users', { username: form.username, email: form.email, password: PASSWORD }, root.accessToken],
    ['PUT', `/api/admin/users/${alice.userId}/role`, { role: 'supervisor' }, root.accessToken],
  ];
  const before = await everything();
  for (const [method, path, body, token] of bodies) {
    for (const field of Object.keys(body)) {
      for (const value of NOT_TEXT) {
        const answer = await auth.call(method, path, { body: { ...body, [field]: value }, ...(token && { token }) });
        expect([path, field, value, answer.status]).toEqual([path, field, value, 400]);
        expect(answer.headers.get('content-type')).toContain('application/problem+json');
      }
    }
  }
  for (const value of NOT_TEXT.slice(0, -1)) {
    expect((await auth.post('/api/auth/refresh', { refreshToken: value })).status).toBe(400);
    for (const field of ['username', 'email', 'currentPassword']) {
      expect(
        (await auth.call('PUT', '/api/profile', { body: { [field]: value }, token: alice.accessToken })).status,
      ).toBe(400);
    }
  }
  expect(await everything()).toBe(before);
});

it('answers every operation called with a broken body with a 4xx problem', async () => {
  const paths = ['login', 'signup', 'verify-email', 'resend-verification', 'forgot-password', 'reset-password'];
  const bodies: [raw: string | undefined, type: string | undefined][] = [
    [undefined, undefined],
    ['null', 'application/json'],
    ['[]', 'application/json'],
    ['"x"', 'application/json'],
    ['1', 'application/json'],
    ['{', 'application/json'],
    ['hello', 'text/plain'],
  ];
  for (const path of paths) {
    for (const [raw, type] of bodies) {
      const answer = await auth.call('POST', `/api/auth/${path}`, {
        ...(raw !== undefined && { raw }),
        ...(type && { headers: { 'content-type': type } }),
      });
      expect([path, raw, answer.status >= 400 && answer.status < 500]).toEqual([path, raw, true]);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
    }
  }
});

it('gives every wrong reset token the same status', async () => {
  const wrong = [null, '', [], {}, 'a'.repeat(64), '../..', undefined, '0'.repeat(201)];
  for (const token of wrong) {
    expect((await auth.post('/api/auth/reset-password', { token, newPassword: 'quite-another-walk' })).status).toBe(
      400,
    );
  }
});

it('refuses addresses that are more than one plain address, before anything is mailed', async () => {
  const addresses = [
    'alice@example.test\r\nBcc: bob@example.test',
    '"alice b"@example.test',
    'alice(comment)@example.test',
    'alice@bob@example.test',
    'alice@example.test,bob@example.test',
    `${'a'.repeat(250)}@example.test`,
  ];
  for (const email of addresses) {
    expect((await auth.signUp({ ...newPerson('mallory'), email })).status).toBe(400);
    expect((await auth.post('/api/auth/forgot-password', { email })).status).toBe(400);
  }
});

it('refuses names that could be taken for an address or a user id', async () => {
  const names = [
    'alice@example.test',
    'a'.repeat(24),
    '0123456789abcdef01234567',
    '-alice',
    'al',
    'a‮lice',
    '<b>alice</b>',
  ];
  for (const username of names) expect((await auth.signUp({ ...newPerson('mallory'), username })).status).toBe(400);
});
