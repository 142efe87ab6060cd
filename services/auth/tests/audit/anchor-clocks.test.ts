import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import type { Deps } from '../../src/deps.ts';
import { Auth } from '../auth.ts';
import { instanceOf } from './log.ts';

const MINUTE_MS = 60_000;
const clock = manualClock();
/** An instance whose clock was set wrong for a moment. */
const ahead = { now: () => clock.now() + 60 * MINUTE_MS };
let auth: Auth;
let sound: Deps;
let wrong: Deps;
beforeAll(async () => {
  auth = await Auth.start({ clock, env: { AUDIT_ANCHOR_INTERVAL: '1h' } });
  [sound, wrong] = [await instanceOf(auth, clock), await instanceOf(auth, ahead)];
});
afterAll(async () => {
  await Promise.all([sound.close(), wrong.close()]);
  await auth.stop();
});

const write = (deps: Deps, workspaceId: string) =>
  deps.flows.takeReports('accounting', [
    {
      action: 'access.refused',
      eventId: randomUUID(),
      workspaceId,
      facts: { code: 'forbidden', operation: 'readReports', count: 1 },
    },
  ]);
const newest = () =>
  auth.db
    .collection<{ _id: number; chains: { chain: string; seq: number }[] }>('audit_anchors')
    .findOne({}, { sort: { _id: -1 } });

it('an anchor with a time from the future delays no other, and hides no line from them', async () => {
  await write(wrong, 'red');
  await wrong.flows.takeAnchor();
  clock.advance(MINUTE_MS);
  await write(sound, 'red');
  await write(sound, 'blue');
  await sound.flows.takeAnchor({ youngestMs: MINUTE_MS / 2 });
  expect((await newest())?.chains).toMatchObject([
    { chain: 'blue', seq: 1 },
    { chain: 'red', seq: 2 },
  ]);
  expect(await sound.flows.verifyAudit()).toMatchObject({ ok: true });
  const { _id: number } = (await newest()) ?? { _id: 0 };
  await sound.flows.takeAnchor({ youngestMs: MINUTE_MS / 2 });
  expect((await newest())?._id).toBe(number);
});
