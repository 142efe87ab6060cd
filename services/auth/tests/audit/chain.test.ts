import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import type { Deps } from '../../src/deps.ts';
import { Auth, times } from '../auth.ts';
import { instanceOf, linesOf, type Row, rowsOf } from './log.ts';

const clock = manualClock();
let auth: Auth;
let one: Deps;
let other: Deps;
let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anchors-'));
  file = join(folder, 'anchors');
  // Rounds of its own would take the anchors that a test means to take.
  auth = await Auth.start({ clock, env: { AUDIT_ANCHOR_INTERVAL: '1h' } });
  one = await instanceOf(auth, clock, { AUDIT_ANCHOR_FILE: file });
  other = await instanceOf(auth, clock);
});
afterAll(async () => {
  await Promise.all([one.close(), other.close()]);
  await auth.stop();
  await rm(folder, { recursive: true });
});

const anchors = () => auth.db.collection<{ _id: number }>('audit_anchors');
const refusal = (actorId: string, workspaceId?: string) => ({
  action: 'access.refused' as const,
  eventId: randomUUID(),
  actorId: actorId as never,
  ...(workspaceId && { workspaceId }),
  facts: { code: 'forbidden', operation: 'readReports', count: 1 },
});
const alice = 'a'.repeat(24);
const write = (deps: Deps, count: number, workspaceId?: string) =>
  times(count, () => deps.flows.takeReports('accounting', [refusal(alice, workspaceId)]));
const verify = (scope: Parameters<Deps['flows']['verifyAudit']>[0] = {}) => one.flows.verifyAudit(scope);
const keptAnchors = async () =>
  (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('lines', () => {
  it('of 500 parallel events on two instances are one chain without forks, gaps or losses', async () => {
    const before = await rowsOf(auth).countDocuments();
    await Promise.all([write(one, 250), write(other, 250)]);
    const lines = await linesOf(auth);
    expect(lines).toHaveLength(before + 500);
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index + 1));
    expect(lines.slice(1).map(({ previousHash }) => previousHash)).toEqual(lines.slice(0, -1).map(({ hash }) => hash));
    expect(await verify()).toMatchObject({ ok: true, isComplete: true, lines: lines.length, offenders: 0 });
  });

  it('are written once for an event that is reported twice, also at the same time', async () => {
    const again = refusal(alice, 'twice');
    await Promise.all([one, other, one, other].map((deps) => deps.flows.takeReports('accounting', [again])));
    await one.flows.takeReports('accounting', [again]);
    expect(await linesOf(auth, 'twice')).toHaveLength(1);
  });

  it('of workspaces are chains of their own', async () => {
    await Promise.all([write(one, 3, 'red'), write(other, 2, 'red'), write(one, 2, 'blue')]);
    expect((await linesOf(auth, 'red')).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect((await linesOf(auth, 'blue')).map(({ seq }) => seq)).toEqual([1, 2]);
  });
});

describe('anchors', () => {
  it('name every chain that grew, once for all instances, and are kept in a file', async () => {
    await write(one, 1, 'red');
    await times(6, async (n) => (n % 2 ? one : other).flows.takeAnchor());
    const count = await anchors().countDocuments();
    expect(count).toBe(1);
    clock.advance(60_000);
    await write(one, 2, 'blue');
    await one.flows.takeAnchor();
    await one.flows.takeAnchor();
    const [last] = await anchors().find().sort({ _id: -1 }).toArray();
    expect(last).toMatchObject({ _id: count + 1, chains: [{ chain: 'blue', seq: 4 }] });
    expect(await keptAnchors()).toContainEqual(expect.objectContaining({ number: count + 1 }));
    expect(await verify()).toMatchObject({ ok: true });
  });
});

describe('verification', () => {
  let chain: string;
  let rows: Row[];
  beforeEach(async () => {
    chain = `w-${randomUUID()}`;
    await write(one, 6, chain);
    clock.advance(60_000);
    await one.flows.takeAnchor();
    await write(one, 2, chain);
    rows = await linesOf(auth, chain);
    expect(await verify({ chain })).toMatchObject({ ok: true, lines: 8, chains: 1 });
  });

  const faultsAfter = async (tamper: () => Promise<unknown>) => {
    await tamper();
    const report = await verify({ chain });
    expect(report.ok).toBe(false);
    return report.faults.map(({ what, fault, ...where }) => [what, fault, 'seq' in where ? where.seq : undefined]);
  };
  const replaced = (seq: number, changes: Partial<Row>) =>
    rowsOf(auth).updateOne({ _id: `${chain}:${seq}` }, { $set: changes });

  it.each([
    ['action', { action: 'session.opened' }],
    ['actor', { actorId: 'b'.repeat(24) }],
    ['time', { at: new Date(0) }],
    ['facts', { facts: { code: 'forbidden', operation: 'readReports', count: 2 } }],
    ['number as text', { facts: { code: 'forbidden', operation: 'readReports', count: '1' } }],
    ['service', { service: 'auth' }],
    ['hash', { hash: '0'.repeat(64) }],
  ])('finds an edited line: %s', async (_name, changes) => {
    expect(await faultsAfter(() => replaced(3, changes))).toContainEqual(['line', 'edited', 3]);
  });

  it('finds a field that was put in or taken away, and a key of somebody else', async () => {
    const found = await faultsAfter(async () => {
      await replaced(2, { note: 'x' });
      await rowsOf(auth).updateOne({ _id: `${chain}:3` }, { $unset: { actorId: 1 } });
      await replaced(4, { keyId: 'mine' });
    });
    expect(found).toEqual(
      expect.arrayContaining([
        ['line', 'unreadable', undefined],
        ['line', 'edited', 3],
        ['line', 'unknown key', 4],
      ]),
    );
  });

  it('finds a deleted line, and two that changed places', async () => {
    expect(await faultsAfter(() => rowsOf(auth).deleteOne({ _id: `${chain}:3` }))).toEqual([['line', 'gap', 4]]);
    await rowsOf(auth).insertOne(rows[2] as Row);
    expect(await verify({ chain })).toMatchObject({ ok: true });
    const swap = async () => {
      const [third, fourth] = [rows[2] as Row, rows[3] as Row];
      await rowsOf(auth).replaceOne({ _id: third._id }, { ...fourth, _id: third._id, seq: 3 });
      await rowsOf(auth).replaceOne({ _id: fourth._id }, { ...third, _id: fourth._id, seq: 4, eventId: 'x' });
    };
    await rowsOf(auth).updateOne({ _id: `${chain}:4` }, { $set: { eventId: 'y' } });
    expect(await faultsAfter(swap)).toEqual(expect.arrayContaining([['line', 'edited', 3]]));
  });

  it('finds an inserted line: under another id, between others, at the end, and in no chain', async () => {
    const copy = (changes: object) => ({ ...(rows[2] as Row), eventId: randomUUID(), ...changes });
    const found = await faultsAfter(async () => {
      await rowsOf(auth).insertOne(copy({ _id: 'another', seq: 3 }));
      await rowsOf(auth).insertOne(copy({ _id: `${chain}:9`, seq: 9 }));
    });
    expect(found).toEqual([
      ['line', 'unreadable', undefined],
      ['line', 'edited', 9],
    ]);
    await rowsOf(auth).insertOne(copy({ _id: 'stray', chain: null }) as never);
    expect((await verify()).faults).toContainEqual({ what: 'stray', fault: 'belongs to no chain', row: 'stray' });
    await rowsOf(auth).deleteMany({ _id: { $in: ['stray', 'another', `${chain}:9`] } });
  });

  it('finds a cut end by the anchors, and a chain written anew with the right key', async () => {
    const cut = () => rowsOf(auth).deleteMany({ chain, seq: { $gte: 5 } });
    expect(await faultsAfter(cut)).toEqual([['line', 'cut off', 6]]);
    const forger = await instanceOf(auth, clock);
    await write(forger, 2, chain);
    await forger.close();
    expect((await verify({ chain })).faults).toEqual([
      { what: 'line', fault: 'rewritten', chain, seq: 6, anchor: expect.any(Number) },
    ]);
  });

  it('finds anchors that were edited or removed, and those that are gone together with the lines by the file', async () => {
    const kept = await keptAnchors();
    const [last] = await anchors().find().sort({ _id: -1 }).limit(1).toArray();
    const number = last?._id as number;
    await anchors().updateOne({ _id: number }, { $set: { chains: [] } });
    expect((await verify()).faults).toContainEqual({ what: 'anchor', fault: 'edited', anchor: number });
    await anchors().deleteMany({ _id: { $gte: number } });
    await rowsOf(auth).deleteMany({ chain });
    expect(JSON.stringify((await verify()).faults)).not.toContain(chain);
    const report = await verify({ kept });
    expect(report.ok).toBe(false);
    expect(report.faults).toContainEqual({ what: 'anchor', fault: 'missing', anchor: number });
  });
});
