import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Auth, type LoggedIn, newPerson, PASSWORD, tokenIn } from '../auth.ts';

let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start();
});
afterAll(() => auth.stop());

const ROUNDS = 8;
const [OWNERS, STRANGERS] = [`${PASSWORD}-owner`, `${PASSWORD}-stranger`];

async function withToken(): Promise<{ alice: LoggedIn; reset: () => Promise<number> }> {
  const alice = await auth.loggedIn();
  await auth.post('/api/auth/forgot-password', { email: alice.email });
  const mail = await auth.mails.waitForMail(alice.email, ({ subject }) => subject === 'Choose a new password');
  const body = { token: tokenIn(mail), newPassword: OWNERS };
  return { alice, reset: async () => (await auth.post('/api/auth/reset-password', body)).status };
}

it('let no change that was under way with the old password outlive a reset', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const { alice, reset } = await withToken();
    const body = { currentPassword: PASSWORD, newPassword: STRANGERS };
    const change = auth.post('/api/change-password', body, { token: alice.accessToken });
    expect((await Promise.all([reset(), change]))[0]).toBe(200);
    expect((await auth.logIn(alice.username, OWNERS)).status).toBe(200);
  }
});

it('let no new address that was asked for with the old password wait after a reset', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const { alice, reset } = await withToken();
    const body = { email: newPerson('mallory').email, currentPassword: PASSWORD };
    let isReset = false;
    const done = reset().finally(() => {
      isReset = true;
    });
    // One of them is under way at the moment of the reset.
    while (!isReset) await auth.call('PUT', '/api/profile', { token: alice.accessToken, body });
    expect(await done).toBe(200);
    const account = await auth.db.collection('users').findOne({ username: alice.username });
    expect(account).not.toHaveProperty('pendingEmail');
  }
});
