import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Keys } from '../api-keys/keys.ts';
import { Auth, type LoggedIn } from '../auth.ts';
import { as, newWorkspace } from './workspace.ts';

const clock = manualClock();
let auth: Auth;
let root: LoggedIn;
let keys: Keys;
beforeAll(async () => {
  auth = await Auth.start({ clock });
  root = await auth.admin();
  keys = new Keys(auth, clock);
});
afterAll(() => auth.stop());

type Told = { _id: string; entry: Record<string, unknown>; madeAt: Date };
const written = () => auth.db.collection<Told>('revocations');

const PATIENCE_MS = 4000;

/** What the next process tells after one that changed something and died before it told so. */
async function toldByNext(field: string, value: string): Promise<Told[]> {
  const lost = { [`entry.${field}`]: value };
  expect((await written().deleteMany(lost)).deletedCount).toBeGreaterThan(0);
  clock.advance(60_000);
  const next = await Auth.start({ env: auth.env, clock });
  try {
    const patience = performance.now() + PATIENCE_MS;
    while ((await written().countDocuments(lost)) === 0 && performance.now() < patience);
    return await written().find(lost).toArray();
  } finally {
    await next.stop({ keepDatabase: true });
    root = await auth.admin();
  }
}

describe('what a process did not tell, because it died in between, is told by the next one:', () => {
  it('that a workspace was disabled', async () => {
    const id = await newWorkspace(auth, root);
    await as(auth, root)('POST', `/api/workspaces/${id}/disable`);
    const told = await toldByNext('workspaceId', id);
    expect(told).toMatchObject([{ entry: { kind: 'workspace', workspaceId: id }, madeAt: new Date(clock.now()) }]);
  });

  it.each([
    ['disabled', (owner: LoggedIn, id: string) => keys.change(owner, id, { disabled: true })],
    ['rotated without an overlap', (owner: LoggedIn, id: string) => keys.rotate(owner, id)],
    [
      'disabled by an administrator',
      ({ userId }: LoggedIn, id: string) => as(auth, root)('DELETE', `/api/admin/users/${userId}/api-keys/${id}`),
    ],
  ] as const)('that a key was %s', async (_how, end) => {
    const owner = await auth.loggedIn();
    const { id } = await keys.made(owner);
    expect((await end(owner, id)).status).toBe(200);
    const told = await toldByNext('keyId', id);
    expect(told).toMatchObject([{ entry: { kind: 'key', keyId: id }, madeAt: new Date(clock.now()) }]);
  });
});
