import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';
import { manualClock } from '@tollgate/test-kit';
import { readAuthConfig } from '../../src/config.ts';
import { Auth, type LoggedIn, newPerson } from '../auth.ts';
import { linesOf } from './log.ts';

const clock = manualClock(new Date());
let auth: Auth;
let root: LoggedIn;
let alice: LoggedIn;
const services: Record<'accounting' | 'chat-proxy', string> = { accounting: '', 'chat-proxy': '' };
beforeAll(async () => {
  auth = await Auth.start({ clock });
  [root, alice] = [await auth.admin(), await auth.loggedIn()];
  const keys = readAuthConfig(auth.env).tokens.serviceKeys;
  for (const service of ['accounting', 'chat-proxy'] as const)
    services[service] = await createServiceTokenSource({ service, keys, clock }).tokenFor('auth');
});
afterAll(() => auth.stop());

type Line = { action: string; at: string; seq: number; actorId?: string; targetId?: string; facts: object };
const search = async (query: string, token = root.accessToken) => {
  const { status, text } = await auth.call('GET', `/api/admin/audit?${query}`, { token });
  return { status, text, ...(JSON.parse(text) as { lines: Line[]; nextCursor: string | null }) };
};
const refusal = (changes: object = {}) => ({
  action: 'access.refused',
  eventId: randomUUID(),
  actorId: alice.userId,
  facts: { code: 'forbidden', operation: 'readReports', count: 1 },
  ...changes,
});
const reportAs = (service: keyof typeof services, ...reports: object[]) =>
  auth.post('/api/internal/audit', { reports }, { token: services[service] });

describe('the audit log', () => {
  it('is read by administrators page by page, newest first, without gap or repetition', async () => {
    for (let n = 0; n < 7; n += 1) {
      await auth.logIn(`nobody-${n}`, 'x');
      if (n % 2) clock.advance(1000);
    }
    const seen: Line[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Awaited<ReturnType<typeof search>> = await search(`limit=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...page.lines);
      cursor = page.nextCursor;
    }
    const stored = await linesOf(auth);
    expect(seen).toHaveLength(stored.length);
    expect(new Set(seen.map(({ seq }) => seq)).size).toBe(stored.length);
    expect(seen.map(({ at }) => at)).toEqual(
      seen
        .map(({ at }) => at)
        .sort()
        .reverse(),
    );
  });

  it('is narrowed by action, actor, target and time', async () => {
    await auth.call('PUT', `/api/admin/users/${alice.userId}/role`, {
      body: { role: 'supervisor' },
      token: root.accessToken,
    });
    const byAction = await search('action=account.role-changed');
    expect(byAction.lines).toMatchObject([
      { actorId: root.userId, targetId: alice.userId, facts: { from: 'enduser', to: 'supervisor' } },
    ]);
    expect((await search(`target=${alice.userId}&actor=${root.userId}`)).lines).toHaveLength(1);
    const at = byAction.lines[0]?.at ?? '';
    expect((await search(`from=${at}&to=${at}`)).lines).toEqual([]);
    expect((await search(`from=${at}`)).lines.length).toBeGreaterThan(0);
    expect((await search('workspaceId=elsewhere')).lines).toEqual([]);
    alice = await auth.session(alice);
  });

  it.each([
    'limit=101',
    'limit=0',
    'action=nonsense',
    'cursor=x',
    'from=yesterday',
    'actor[$ne]=x',
    'actor=%24ne',
    'q=x',
  ])('refuses a search for %s', async (query) => {
    expect((await search(query)).status).toBe(400);
  });

  it('is for administrators alone, and so is its verification', async () => {
    expect((await search('', alice.accessToken)).status).toBe(403);
    const verify = (token: string) => auth.call('GET', '/api/admin/audit/verify', { token });
    expect((await verify(alice.accessToken)).status).toBe(403);
    const { status, text } = await verify(root.accessToken);
    expect([status, JSON.parse(text)]).toMatchObject([200, { ok: true, offenders: 0, isComplete: true }]);
  });
});

describe('reports of other services', () => {
  it('are put down once, in the chain of their workspace', async () => {
    const report = refusal({ workspaceId: 'ws-1', ip: '203.0.113.1', userAgent: 'curl', requestId: 'r-12345678' });
    for (const _ of [1, 2]) expect((await reportAs('chat-proxy', report)).status).toBe(202);
    expect(await linesOf(auth, 'ws-1')).toMatchObject([
      { seq: 1, service: 'chat-proxy', actorId: alice.userId, requestId: 'r-12345678', action: 'access.refused' },
    ]);
  });

  it('are refused for what a service may not say, what is not in the schema, and for people', async () => {
    const adjusted = {
      action: 'credits.adjusted',
      eventId: randomUUID(),
      actorId: root.userId,
      targetId: alice.userId,
      facts: { operation: 'adjusted', credits: 1, from: 1, to: 2 },
    };
    const before = (await linesOf(auth)).length;
    expect((await reportAs('chat-proxy', adjusted)).status).toBe(403);
    for (const changes of [
      { action: 'session.opened' },
      { action: 'alert.raised' },
      { facts: { code: 'forbidden', operation: 'x', count: 1, password: 'x' } },
      { facts: { code: 'a b', operation: 'x', count: 1 } },
      { facts: { code: 'forbidden', operation: 'a\r\nb', count: 1 } },
      { actorId: { $ne: null } },
      { at: '2020-01-01T00:00:00Z' },
      { eventId: 'x' },
      { workspaceId: 'a b' },
    ])
      expect((await reportAs('accounting', refusal(changes))).status).toBe(400);
    expect((await reportAs('accounting')).status).toBe(400);
    expect((await reportAs('accounting', ...Array.from({ length: 101 }, () => refusal()))).status).toBe(400);
    const asAdmin = await auth.post('/api/internal/audit', { reports: [refusal()] }, { token: root.accessToken });
    expect([asAdmin.status, asAdmin.body.code]).toEqual([403, 'service_token_required']);
    expect((await linesOf(auth)).filter(({ service }) => service !== 'auth')).toEqual([]);
    expect((await linesOf(auth)).length - before).toBeLessThanOrEqual(3);
    expect((await reportAs('accounting', adjusted)).status).toBe(202);
  });
});

it('keeps what a client says of itself in one printable line', async () => {
  const person = newPerson('eve');
  const userAgent = 'x"}\u0085{"level":"error\u009b';
  await auth.post(
    '/api/auth/login',
    { username: `${person.username}\r\n{"a":1}`, password: 'x' },
    {
      headers: { 'user-agent': userAgent },
    },
  );
  const [line] = (await search('action=session.refused&limit=1')).lines;
  expect(JSON.stringify(line)).toContain('level');
  expect(JSON.stringify(line)).not.toMatch(/\\u001b|\\u0085|\\u009b|\\r|\\n/);
});
