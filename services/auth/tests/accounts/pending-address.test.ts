import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Auth, type LoggedIn, newPerson, PASSWORD, tokenIn } from '../auth.ts';

let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start();
  root = await auth.admin();
});
afterAll(() => auth.stop());

const NEW_PASSWORD = `${PASSWORD}-2`;

/** Somebody who knows the password has asked for a change of the address to their own, and keeps the token. */
async function intruded(): Promise<{ alice: LoggedIn; token: string; email: string }> {
  const alice = await auth.loggedIn();
  const { email } = newPerson('mallory');
  await auth.call('PUT', '/api/profile', { token: alice.accessToken, body: { email, currentPassword: PASSWORD } });
  return { alice, email, token: tokenIn(await auth.mails.waitForMail(email)) };
}

async function byMail({ email }: LoggedIn): Promise<void> {
  await auth.post('/api/auth/forgot-password', { email });
  const mail = await auth.mails.waitForMail(email, ({ subject }) => subject === 'Choose a new password');
  const answer = await auth.post('/api/auth/reset-password', { token: tokenIn(mail), newPassword: NEW_PASSWORD });
  expect(answer.status).toBe(200);
}

const bySession = async ({ accessToken: token }: LoggedIn): Promise<void> => {
  const body = { currentPassword: PASSWORD, newPassword: NEW_PASSWORD };
  expect((await auth.post('/api/change-password', body, { token })).status).toBe(200);
};

const byAdmin = async ({ userId }: LoggedIn): Promise<void> => {
  const path = `/api/admin/users/${userId}/reset-password`;
  const answer = await auth.post(path, { newPassword: NEW_PASSWORD }, { token: root.accessToken });
  expect(answer.status).toBe(200);
};

it.each([
  ['a reset by mail', byMail],
  ['a change by its owner', bySession],
  ['a reset by an administrator', byAdmin],
])('waits no longer after %s: whoever knew the old password does not get the account by it', async (_how, renew) => {
  const { alice, token, email } = await intruded();
  await renew(alice);
  expect((await auth.post('/api/auth/verify-email', { token })).status).toBe(400);
  const account = await auth.db.collection('users').findOne({ username: alice.username });
  expect(account).toMatchObject({ email: alice.email });
  expect(account).not.toHaveProperty('pendingEmail');
  expect(auth.mails.mails(email)).toHaveLength(1);
  expect((await auth.logIn(alice.email, NEW_PASSWORD)).status).toBe(200);
});

it.each([
  ['a workspace that is not theirs', { defaultWorkspaceId: 'elsewhere' }, 404],
  ['a name that is taken', { username: 'ROOT' }, 400],
])(
  'a change that names %s as well is refused as a whole: nothing waits, nothing is mailed',
  async (_what, wrong, status) => {
    const alice = await auth.loggedIn();
    const { email, username } = newPerson('renamed');
    const taken = 'username' in wrong ? { username: root.username } : { username, ...wrong };
    const before = await auth.db.collection('users').findOne({ username: alice.username });
    const body = { email, currentPassword: PASSWORD, ...taken };
    expect((await auth.call('PUT', '/api/profile', { token: alice.accessToken, body })).status).toBe(status);
    expect(await auth.db.collection('users').findOne({ username: alice.username })).toEqual(before);
    expect(await auth.db.collection('mail_queue').countDocuments({ email })).toBe(0);
  },
);
