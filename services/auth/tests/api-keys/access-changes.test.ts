import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Keys } from './keys.ts';
import { Auth, type LoggedIn } from '../auth.ts';
import { as, join, newWorkspace } from '../workspaces/workspace.ts';

const CHANGES = 5;

let auth: Auth;
let keys: Keys;
let alice: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start({ env: { RATE_LIMITS: 'true', LIMIT_ACCESS_CHANGES_PER_USER: `${CHANGES}/1h` } });
  keys = new Keys(auth);
  alice = await auth.loggedIn();
});
afterAll(() => auth.stop());

const revocations = () => auth.db.collection('revocations').countDocuments();

/** How many of some calls in a row were let through, and what the first refusal was. */
async function untilRefused(call: () => Promise<{ status: number }>): Promise<[number, number]> {
  for (let done = 0; done <= CHANGES; done += 1) {
    const { status } = await call();
    if (status >= 300) return [done, status];
  }
  return [CHANGES + 1, 200];
}

// Each of them is told to all services, which have room for so much: whoever fills it ends the tokens of everybody.
describe('one user', () => {
  it('switches between workspaces so often and no oftener', async () => {
    let { accessToken } = await auth.loggedIn();
    const again = async () => {
      const { status, body } = await auth.post(
        '/api/auth/switch-workspace',
        { workspaceId: 'default' },
        { token: accessToken },
      );
      accessToken = body.accessToken ?? accessToken;
      return { status };
    };
    expect(await untilRefused(again)).toEqual([CHANGES, 429]);
  });

  it('changes API keys so often, and disables or deletes one at any time, which is told once', async () => {
    const { id } = await keys.made(alice);
    const turnOn = () => keys.change(alice, id, { disabled: false });
    expect(await untilRefused(turnOn)).toEqual([CHANGES - 1, 429]);
    const before = await revocations();
    for (let n = 0; n < 3; n += 1) expect((await keys.change(alice, id, { disabled: true })).status).toBe(200);
    expect(await revocations()).toBe(before + 1);
    expect((await keys.make(alice)).status).toBe(429);
    expect((await keys.rotate(alice, id)).status).toBe(429);
    expect((await keys.delete(alice, id)).status).toBe(200);
  });

  it('changes the roles of members so often, and removes one at any time', async () => {
    const root = await auth.admin();
    const workspace = await newWorkspace(auth, root);
    const boss = await join(auth, root, workspace, 'admin');
    const bob = await join(auth, root, workspace);
    const path = `/api/workspaces/${workspace}/members/${bob.userId}`;
    let turn = 0;
    const change = () => as(auth, boss)('PUT', path, { role: (turn += 1) % 2 ? 'supervisor' : 'enduser' });
    expect(await untilRefused(change)).toEqual([CHANGES, 429]);
    expect((await as(auth, boss)('DELETE', path)).status).toBe(200);
  });
});
