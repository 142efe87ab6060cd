import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Auth, type LoggedIn } from '../auth.ts';
import { as, claimsOf, inWorkspace, join, newWorkspace } from './workspace.ts';

let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start({ env: { WORKSPACE_CREATION: 'everyone' } });
  root = await auth.admin();
});
afterAll(() => auth.stop());

const roleIn = async (person: LoggedIn, workspaceId: string) =>
  claimsOf((await inWorkspace(auth, person, workspaceId)).accessToken);

// A supervisor gives credits away: who could become one by founding a workspace could make credits for a friend.
it('makes nobody a supervisor by a workspace of their own; they lead it all the same', async () => {
  const alice = await auth.loggedIn();
  const id = await newWorkspace(auth, alice, 'Mine');
  const bob = await join(auth, alice, id, 'admin');
  expect(await roleIn(alice, id)).toMatchObject({ role: 'enduser', wrole: 'owner' });
  expect(await roleIn(bob, id)).toMatchObject({ role: 'enduser', wrole: 'admin' });
  const inside = await inWorkspace(auth, alice, id);
  const path = `/api/workspaces/${id}/members/${bob.userId}`;
  expect((await as(auth, inside)('PUT', path, { role: 'supervisor' })).status).toBe(200);
  expect(await roleIn(bob, id)).toMatchObject({ role: 'enduser', wrole: 'supervisor' });
});

it('leaves administrators of the installation what they are, and the leaders of their workspaces supervisors', async () => {
  const alice = await auth.loggedIn();
  const hers = await newWorkspace(auth, alice, 'Hers');
  const ours = await newWorkspace(auth, root, 'Ours');
  const bob = await join(auth, root, ours, 'supervisor');
  expect(await roleIn(bob, ours)).toMatchObject({ role: 'supervisor', wrole: 'supervisor' });
  expect((await as(auth, root)('GET', `/api/workspaces/${hers}`)).status).toBe(200);
  expect(await roleIn(root, ours)).toMatchObject({ role: 'admin', wrole: 'owner' });
});
