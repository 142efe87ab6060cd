import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, PASSWORD } from '../auth.ts';
import { Keys, serviceSecretNamed } from './keys.ts';

const SECOND = 1000;
const DAY = 86_400 * SECOND;
const clock = manualClock();

let auth: Auth;
let keys: Keys;
beforeAll(async () => {
  auth = await Auth.start({ clock, env: serviceSecretNamed(randomBytes(36).toString('base64url')) });
  keys = new Keys(auth, clock);
});
afterAll(() => auth.stop());

const at = (ms: number) => new Date(clock.now() + ms).toISOString();
const revocations = (keyId: string) => auth.db.collection('revocations').countDocuments({ 'entry.keyId': keyId });

describe('rotating a key', () => {
  it('gives a new secret at once, and lets the old one work until the overlap ends', async () => {
    const alice = await auth.loggedIn();
    const { id, text } = await keys.made(alice, { expiresAt: at(10 * DAY) });
    clock.advance(DAY);
    const owner = await auth.session(alice);
    const { status, body } = await keys.rotate(owner, id, 3600);
    expect([status, body.apiKey]).toMatchObject([
      200,
      { id, expiresAt: at(10 * DAY), previousSecretUntil: at(3600 * SECOND) },
    ]);
    expect(body.key).not.toBe(text);
    expect(await revocations(id)).toBe(0);
    expect((await keys.verify(text)).body['expiresAt']).toBe(at(3600 * SECOND));
    clock.advance(3600 * SECOND - 1);
    expect([await keys.use(text), await keys.use(body.key)]).toEqual([200, 200]);
    clock.advance(1);
    expect([await keys.use(text), await keys.use(body.key)]).toEqual([401, 200]);
    expect((await keys.list(await auth.session(alice)))[0]).toMatchObject({ previousSecretUntil: null });
    expect(await auth.auditOf('api-key.rotated')).toMatchObject([{ facts: { keyId: id, overlapSeconds: 3600 } }]);
  });

  it('a second time within the overlap ends the oldest secret at once', async () => {
    const alice = await auth.loggedIn();
    const { id, text } = await keys.made(alice);
    const second = (await keys.rotate(alice, id, 3600)).body.key;
    const third = (await keys.rotate(alice, id, 3600)).body.key;
    expect(await Promise.all([text, second, third].map((key) => keys.use(key)))).toEqual([401, 200, 200]);
    expect(await revocations(id)).toBe(1);
  });

  it('without an overlap ends the old secret at once', async () => {
    const alice = await auth.loggedIn();
    const { id, text } = await keys.made(alice);
    const { body } = await keys.rotate(alice, id);
    expect([await keys.use(text), await keys.use(body.key), await revocations(id)]).toEqual([401, 200, 1]);
  });

  it('never lets the old secret outlive its own time', async () => {
    const alice = await auth.loggedIn();
    const { id, text } = await keys.made(alice, { expiresAt: at(60 * SECOND) });
    const { body } = await keys.rotate(alice, id, 3600);
    expect(body.apiKey['previousSecretUntil']).toBe(at(60 * SECOND));
    clock.advance(60 * SECOND);
    expect(await keys.use(text)).toBe(401);
  });

  it('asks for the password, and for an overlap of at most 7 days', async () => {
    const alice = await auth.loggedIn();
    const { id, text } = await keys.made(alice);
    const rotate = (body: object) => auth.post(`/api/api-keys/${id}/rotate`, body, { token: alice.accessToken });
    expect((await rotate({ currentPassword: 'wrong' })).body.code).toBe('wrong_password');
    for (const overlapSeconds of [-1, 1.5, '60', 604_801])
      expect((await rotate({ currentPassword: PASSWORD, overlapSeconds })).status).toBe(400);
    expect(await keys.use(text)).toBe(200);
  });
});
