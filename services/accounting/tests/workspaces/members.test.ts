import { once } from 'node:events';
import { createServer } from 'node:http';
import type { auth } from '@tollgate/contracts';
import { newUserId } from '@tollgate/test-kit';
import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Accounting } from '../harness/accounting.ts';
import { createFollowMemberships } from '../../src/flows/workspaces/follow-memberships.ts';
import { membershipsOf } from '../../src/clients/memberships.ts';
import type { Members } from '../../src/ports.ts';
import { createMembers } from '../../src/store/members.ts';

type Change = auth.MembershipChange;
const WORKSPACE = 'w-1';
let changes: Change[] = [];
const asked: URL[] = [];
/** Auth, as far as it is asked for memberships: two changes a page. */
const neighbour = createServer(({ url, headers }, response) => {
  const visited = new URL(url ?? '/', 'http://auth');
  asked.push(visited);
  const since = visited.searchParams.get('since') ?? '';
  const from = Number(visited.searchParams.get('cursor') ?? 0);
  const told = changes
    .filter(({ changedAt }) => changedAt >= since)
    .toSorted((a, b) => (a.changedAt < b.changedAt ? -1 : 1));
  const nextCursor = from + 2 < told.length ? String(from + 2) : null;
  response.statusCode = headers.authorization === 'Bearer service' ? 200 : 401;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ changes: told.slice(from, from + 2), nextCursor, now: new Date().toISOString() }));
});

let accounting: Accounting;
let client: ReturnType<typeof membershipsOf>;
let members: Members;
let follow: () => Promise<void>;
beforeAll(async () => {
  accounting = await Accounting.start();
  neighbour.listen(0, '127.0.0.1');
  await once(neighbour, 'listening');
  const { port } = Object(neighbour.address()) as { port: number };
  client = membershipsOf({ baseUrl: `http://127.0.0.1:${port}`, token: async () => 'service' });
  members = createMembers(async (sql, values = []) => (await accounting.db.query(sql, [...values])).rows as never);
  follow = createFollowMemberships({ members, askMemberships: client.ask, clock });
});
afterAll(async () => {
  await client.close();
  neighbour.closeAllConnections();
  neighbour.close();
  await accounting.stop();
});
beforeEach(async () => {
  changes = [];
  asked.length = 0;
  await accounting.db.query('TRUNCATE workspace_members');
});

const at = (second: number) => new Date(Date.UTC(2030, 0, 1, 0, 0, second)).toISOString();
const change = (userId: string, role: Change['role'], version: number, second: number): Change => ({
  workspaceId: WORKSPACE,
  userId: userId as Change['userId'],
  role,
  version,
  changedAt: at(second),
});
const clock = { now: () => Date.parse(at(59)) };
const known = async () => {
  const { rows } = await accounting.db.query<{ user_id: string; role: string | null; version: string }>(
    'SELECT user_id, role, version FROM workspace_members ORDER BY changed_at, user_id',
  );
  return rows.map(({ user_id, role, version }) => [user_id, role, Number(version)]);
};

it('reads every page, and goes on from the newest change it knows, a little earlier', async () => {
  const people = Array.from({ length: 5 }, () => newUserId());
  changes = people.map((userId, index) => change(userId, 'enduser', 1, index));
  await follow();
  expect(await known()).toEqual(people.map((userId) => [userId, 'enduser', 1]));
  expect(asked.map(({ searchParams }) => searchParams.get('cursor'))).toEqual([null, '2', '4']);
  expect(asked[0]?.searchParams.get('since')).toBeNull();
  asked.length = 0;
  await follow();
  expect(asked[0]?.searchParams.get('since')).toBe(new Date(Date.parse(at(4)) - 30_000).toISOString());
});

it('keeps the largest version of a membership, in whatever order changes arrive, also of two instances at once', async () => {
  const [alice, bob] = [newUserId(), newUserId()];
  changes = [change(alice, null, 3, 9), change(alice, 'admin', 2, 10), change(bob, 'owner', 1, 11)];
  await Promise.all(Array.from({ length: 8 }, follow));
  expect(await known()).toEqual([
    [alice, null, 3],
    [bob, 'owner', 1],
  ]);
  changes = [change(bob, 'supervisor', 2, 12)];
  await follow();
  expect((await known()).at(-1)).toEqual([bob, 'supervisor', 2]);
});

it('keeps what it had read when auth breaks off, and reads the rest the next time', async () => {
  const people = Array.from({ length: 4 }, () => newUserId());
  changes = people.map((userId, index) => change(userId, 'enduser', 1, index));
  let calls = 0;
  const breaking = createFollowMemberships({
    members,
    clock,
    askMemberships: async (question) => {
      calls += 1;
      if (calls === 2) throw new Error('auth is away');
      return client.ask(question);
    },
  });
  await expect(breaking()).rejects.toThrow('auth is away');
  expect(await known()).toHaveLength(2);
  await follow();
  expect(await known()).toHaveLength(4);
});

it('misses nothing after a change that an instance of auth wrote with a clock far ahead', async () => {
  const [alice, bob] = [newUserId(), newUserId()];
  changes = [change(alice, 'enduser', 1, 5), change(bob, 'enduser', 1, 3600)];
  await follow();
  changes = [...changes, change(alice, null, 2, 20)];
  await follow();
  expect(await known()).toEqual([
    [alice, null, 2],
    [bob, 'enduser', 1],
  ]);
});
