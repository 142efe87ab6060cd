import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, type LoggedIn } from '../auth.ts';
import { setUp, stepUp } from '../mfa/factor.ts';
import { as, join, json, newWorkspace } from './workspace.ts';

const clock = manualClock();
let auth: Auth;
beforeAll(async () => {
  // Their access tokens outlast a step-up then.
  auth = await Auth.start({ clock, env: { ADMIN_SESSION_IDLE: '3h' } });
});
afterAll(() => auth.stop());

const handOver = (owner: LoggedIn, workspaceId: string, { userId }: LoggedIn) =>
  as(auth, owner)('POST', `/api/workspaces/${workspaceId}/transfer`, { userId });
const ownerOf = async (id: string) =>
  String((await auth.db.collection('workspaces').findOne({ _id: id as never }))?.['ownerId']);

it('is refused to whoever merely holds a session of the owner, and changes nothing', async () => {
  const owner = await auth.admin('owner');
  const id = await newWorkspace(auth, owner);
  const heir = await join(auth, owner, id, 'admin');
  const refused = await handOver(owner, id, heir);
  expect([refused.status, json(refused).code]).toEqual([403, 'step_up_required']);
  expect(await ownerOf(id)).toBe(owner.userId);
  // Only the owner is told that a proof is missing.
  expect(json(await handOver(heir, id, heir)).code).toBe('forbidden');
  expect((await handOver(await auth.loggedIn('stranger'), id, heir)).status).toBe(404);
});

it('needs the second factor of an owner who has one, in this session and lately', async () => {
  const owner = await auth.admin('owner');
  const id = await newWorkspace(auth, owner);
  const heir = await join(auth, owner, id, 'admin');
  const app = await setUp(auth, clock, owner);
  clock.advance(300_001);
  expect((await stepUp(auth, owner)).body.code).toBe('invalid_second_factor');
  expect(json(await handOver(owner, id, heir)).code).toBe('step_up_required');
  expect((await stepUp(auth, owner, app.code())).status).toBe(200);
  clock.advance(300_000);
  expect((await handOver(owner, id, heir)).status).toBe(200);
  expect(await ownerOf(id)).toBe(heir.userId);
});
