import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, newPerson } from './auth.ts';

const clock = manualClock();
let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start({ clock });
});
afterAll(() => auth.stop());

const BATCH = 30;
/** In the order of delivery. */
const subjectsIn = () =>
  auth.mails
    .mails()
    .map(({ subject }) => subject)
    .reverse();

it('mails what somebody waits for before the welcomes of a batch that was ordered earlier', async () => {
  const [root, alice] = [await auth.admin(), await auth.loggedIn()];
  // Nothing is delivered until everything is ordered.
  auth.mails.refuseRecipients(450);
  const users = Array.from({ length: BATCH }, () => newPerson('batch')).map(({ username, email }) => ({
    username,
    email,
  }));
  expect((await auth.post('/api/admin/users/batch', { users }, { token: root.accessToken })).status).toBe(201);
  await waiting(BATCH);
  clock.advance(1000);
  const before = subjectsIn().length;
  await auth.post('/api/auth/forgot-password', { email: alice.email });
  await auth.signUp(newPerson('newcomer'));
  await waiting(BATCH + 2);
  auth.mails.refuseRecipients();
  clock.advance(3_600_000);
  await waiting(0);
  const [first, second, ...others] = subjectsIn().slice(before);
  expect(new Set([first, second])).toEqual(new Set(['Choose a new password', 'Your verification code']));
  expect(new Set(others)).toEqual(new Set(['An account was opened for you']));
  expect(others).toHaveLength(BATCH);
});

/** So many mails are in the queue, and all of them were tried. */
async function waiting(count: number): Promise<void> {
  const queue = auth.db.collection('mail_queue');
  const isSo = async () =>
    (await queue.countDocuments()) === count && (await queue.countDocuments({ attempts: 0 })) === 0;
  const end = performance.now() + 20_000;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`${await queue.countDocuments()} mails wait, not ${count}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
