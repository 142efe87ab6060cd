import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Auth } from '../auth.ts';
import { Keys } from './keys.ts';

type Told = { keyId: string; revision: number; limits: object; authorization: string | undefined };

/** Accounting, as far as auth tells it anything. */
const told: Told[] = [];
let mood: 'well' | 'away' | 'taken' = 'well';
let before: () => Promise<void> = async () => undefined;
const accounting = createServer(async (request, response) => {
  const keyId = request.url?.split('/')[4] ?? '';
  const body = JSON.parse(await text(request)) as Omit<Told, 'keyId'>;
  await before();
  if (mood === 'well') told.push({ keyId, ...body, authorization: request.headers.authorization });
  const [status, answer] = {
    well: [200, { keyId, ...body }],
    away: [503, {}],
    taken: [409, { code: 'conflict', detail: 'An administrator has set such a limit' }],
  }[mood] as [number, object];
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
});

let auth: Auth;
let keys: Keys;
beforeAll(async () => {
  await new Promise<void>((resolve) => void accounting.listen(0, '127.0.0.1', resolve));
  const { port } = Object(accounting.address()) as { port: number };
  auth = await Auth.start({ env: { ACCOUNTING_API_URL: `http://127.0.0.1:${port}` } });
  keys = new Keys(auth);
});
beforeEach(() => {
  mood = 'well';
  before = async () => undefined;
});
afterAll(async () => {
  await auth.stop();
  accounting.closeAllConnections();
  accounting.close();
});

const limits = { requestsPerMinute: 60, parallel: 2, credits: { amount: 500, window: 'month' } };
const toldOf = (id: string) =>
  told.filter(({ keyId }) => keyId === id).map(({ revision, ...rest }) => [revision, rest.limits]);

describe('a key with limits', () => {
  it('is there only when accounting has taken them', async () => {
    const alice = await auth.loggedIn();
    before = async () => expect(await auth.db.collection('api_keys').countDocuments()).toBe(0);
    const { id, view } = await keys.made(alice, { limits });
    expect(view['limits']).toEqual(limits);
    expect(toldOf(id)).toEqual([[0, limits]]);
    expect(told[0]?.authorization).toMatch(/^Bearer ey/);
  });

  it.each(['away', 'taken'] as const)('is not made while accounting is %s', async (how) => {
    const alice = await auth.loggedIn();
    mood = how;
    const { status, body } = await keys.make(alice, { limits });
    expect([status, body.code]).toEqual(how === 'away' ? [503, 'dependency_unavailable'] : [409, 'conflict']);
    expect(await keys.list(alice)).toEqual([]);
    // Without limits accounting is not needed.
    expect((await keys.make(alice)).status).toBe(201);
  });

  it('keeps the old ones while accounting is away, and has the new ones when it answered', async () => {
    const alice = await auth.loggedIn();
    const { id, text: key } = await keys.made(alice, { limits });
    mood = 'away';
    expect((await keys.change(alice, id, { limits: { parallel: 9 }, name: 'changed' })).status).toBe(503);
    expect((await keys.list(alice))[0]).toMatchObject({ name: 'ci', limits });
    mood = 'well';
    expect((await keys.change(alice, id, { limits: { parallel: 9 } })).body.apiKey['limits']).toEqual({ parallel: 9 });
    expect((await keys.change(alice, id, { limits: null })).body.apiKey['limits']).toBeNull();
    expect(toldOf(id)).toEqual([
      [0, limits],
      [2, { parallel: 9 }],
      [3, {}],
    ]);
    expect(await keys.use(key)).toBe(200);
  });

  it('shows the limits that count after 20 changes at the same time', async () => {
    const alice = await auth.loggedIn();
    const { id } = await keys.made(alice);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => keys.change(alice, id, { limits: { parallel: index + 1 } })),
    );
    expect(answers.filter(({ status }) => status !== 200 && status !== 409)).toEqual([]);
    // Accounting lets the newest revision win.
    const newest = toldOf(id)
      .sort(([one], [other]) => Number(one) - Number(other))
      .at(-1);
    expect((await keys.list(alice))[0]?.['limits']).toEqual(newest?.[1]);
  });

  it('is not told to accounting for somebody who has no room for it', async () => {
    const alice = await auth.loggedIn();
    const { id } = await keys.made(alice);
    const model = await auth.db.collection<{ _id: string; slot: number }>('api_keys').findOne({ _id: id });
    const slots = Array.from({ length: 50 }, (_, slot) => slot).filter((slot) => slot !== model?.slot);
    const copies = slots.map((slot) => ({ ...model, _id: `${id.slice(0, 14)}${String(slot).padStart(2, '0')}`, slot }));
    await auth.db.collection<{ _id: string }>('api_keys').insertMany(copies);
    const calls = told.length;
    const { status, body } = await keys.make(alice, { limits });
    expect([status, body.detail]).toEqual([409, 'You have 50 keys; delete one first']);
    expect(told).toHaveLength(calls);
  });
});
