import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth } from '../auth.ts';
import { setUp, stepUp } from '../mfa/factor.ts';
import { Keys } from './keys.ts';

const clock = manualClock();
let auth: Auth;
beforeAll(async () => {
  auth = await Auth.start({ clock });
});
afterAll(() => auth.stop());

it('asks an owner with a second factor for it before a key is made or rotated, and nobody else', async () => {
  const keys = new Keys(auth, clock);
  const alice = await auth.loggedIn();
  const { id, text } = await keys.made(alice);
  const app = await setUp(auth, clock, alice);
  clock.advance(300_001);
  for (const refused of [await keys.make(alice), await keys.rotate(alice, id)])
    expect([refused.status, refused.body.code]).toEqual([403, 'step_up_required']);
  expect(await keys.list(alice)).toHaveLength(1);
  expect(await keys.use(text)).toBe(200);
  await stepUp(auth, alice, app.code());
  expect([(await keys.make(alice)).status, (await keys.rotate(alice, id)).status]).toEqual([201, 200]);
});
