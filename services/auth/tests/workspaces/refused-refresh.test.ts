import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, type LoggedIn } from '../auth.ts';
import { as, inWorkspace, join, newWorkspace } from './workspace.ts';

const clock = manualClock();
let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start({ clock });
  root = await auth.admin();
});
afterAll(() => auth.stop());

it('uses no token up: a client that asks again is no thief, and goes on when the workspace does', async () => {
  const id = await newWorkspace(auth, root);
  const alice = await inWorkspace(auth, await join(auth, root, id), id);
  const set = (status: string) => as(auth, root)('POST', `/api/workspaces/${id}/${status}`);
  expect((await set('disable')).status).toBe(200);
  expect((await auth.refresh(alice.refreshToken)).body.code).toBe('invalid_refresh_token');
  clock.advance(11_000);
  expect((await auth.refresh(alice.refreshToken)).body.code).toBe('invalid_refresh_token');
  expect(await auth.auditOf('session.refresh-reused')).toEqual([]);
  expect(auth.mails.mails(alice.email).map(({ subject }) => subject)).not.toContain('A session was ended');
  expect((await set('enable')).status).toBe(200);
  expect((await auth.refresh(alice.refreshToken)).status).toBe(200);
});
