import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Mongo, openMongo } from '@tollgate/mongo-kit';
import { mongoDatabaseUrl } from '@tollgate/test-kit';
import { openHolds } from '../../src/store/open-holds.ts';
import { BOB, holdId } from '../fixtures/doubles.ts';

let mongo: Mongo;
beforeAll(async () => {
  mongo = openMongo({ url: mongoDatabaseUrl(), defaultDatabase: 'unused' });
  await mongo.connected;
});
afterAll(() => mongo.close());

const after = (seconds: number): Date => new Date(Date.now() + seconds * 1000);
const owner = () => ({ holdId: holdId(), userId: BOB });

describe('the journal', () => {
  it('shows in pages which rows have stood for long, without the answers of this process', async () => {
    const [mine, theirs] = [openHolds(mongo, randomUUID(), 'default'), openHolds(mongo, randomUUID(), 'default')];
    const [own, ended, running] = [owner(), owner(), owner()];
    for (const hold of [own, ended]) await mine.open(hold, after(30));
    await mine.conclude(ended, { kind: 'void', reason: 'refused' }, after(30));
    await theirs.open(running, after(30));
    const soon = new Date(Date.now() + 60_000);
    const inOrder = [ended, running].toSorted((one, other) => (one.holdId < other.holdId ? -1 : 1));
    const seen = inOrder.map((hold) => ({ ...hold, isEnding: hold === ended }));
    expect(await mine.standing(soon, undefined, 10)).toEqual(seen);
    expect(await mine.standing(soon, inOrder[0]?.holdId, 10)).toEqual(seen.slice(1));
    expect(await mine.standing(soon, undefined, 1)).toEqual(seen.slice(0, 1));
    expect(await mine.standing(new Date(0), undefined, 10)).toEqual([]);
    for (const hold of [own, ended, running]) await mine.close(hold.holdId);
  });
});
