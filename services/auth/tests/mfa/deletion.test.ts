import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, type LoggedIn } from '../auth.ts';
import { challengeOf, setUp, verify } from './factor.ts';

const clock = manualClock();
let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start({ clock });
  root = await auth.admin();
});
afterAll(() => auth.stop());

const factors = () => auth.db.collection('second_factors').countDocuments();

it('takes the second factor along, and ends a login that waits for its code', async () => {
  const alice = await auth.loggedIn();
  const app = await setUp(auth, clock, alice);
  const challenge = await challengeOf(auth, alice);
  expect(await factors()).toBe(1);
  const path = `/api/admin/users/${alice.userId}`;
  expect((await auth.call('DELETE', path, { token: root.accessToken })).status).toBe(200);
  expect(await factors()).toBe(0);
  for (const code of [app.code(), app.backupCodes[0] ?? ''])
    expect((await verify(auth, challenge, code)).body.code).toBe('invalid_challenge');
});

it('of everybody takes all of them along but that of the caller', async () => {
  for (const name of ['alice', 'bob']) await setUp(auth, clock, await auth.loggedIn(name));
  await setUp(auth, clock, root);
  expect(await factors()).toBe(3);
  const body = { confirmDelete: 'DELETE_ALL_USERS', preserveAdmins: false };
  expect((await auth.call('DELETE', '/api/admin/users', { token: root.accessToken, body })).status).toBe(200);
  const left = await auth.db.collection('second_factors').find().toArray();
  expect(left.map(({ _id }) => String(_id))).toEqual([root.userId]);
});
