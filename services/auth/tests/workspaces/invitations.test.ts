import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { Auth, codeIn, type LoggedIn, newPerson, statuses, times } from '../auth.ts';
import { accept, as, inWorkspace, invite, join, json, newWorkspace } from './workspace.ts';

const DAY_MS = 86_400_000;

let auth: Auth;
let root: LoggedIn;
beforeAll(async () => {
  auth = await Auth.start();
  root = await auth.admin();
});
afterAll(() => auth.stop());

const invitationsOf = async (workspaceId: string) =>
  json(await as(auth, root)('GET', `/api/workspaces/${workspaceId}/invitations`)).invitations;
const membership = (workspaceId: string, userId: string) =>
  auth.db.collection<{ _id: string }>('memberships').findOne({ _id: `${workspaceId}:${userId}` });

it('brings somebody in who had no account: they sign up with the address first, then the link counts', async () => {
  const id = await newWorkspace(auth, root, 'Newcomers');
  const person = newPerson('invited');
  const token = await invite(auth, root, { workspaceId: id, email: person.email, role: 'supervisor' });
  expect((await auth.post('/api/workspaces/invitations/accept', { token })).status).toBe(401);
  const [mail] = auth.mails.mails(person.email);
  expect(mail?.text).toContain('to the workspace "Newcomers" as: supervisor');
  expect(mail?.text).toContain(`https://chat.example.test/join#token=${token}`);
  await auth.signUp(person);
  const code = codeIn(await auth.mails.waitForMail(person.email, ({ subject }) => subject.includes('verification')));
  await auth.post('/api/auth/verify-email', { token: code });
  const joined = await accept(auth, await auth.session(person), token);
  expect([joined.status, json(joined).workspace]).toMatchObject([200, { id, role: 'supervisor' }]);
  expect((await auth.auditOf('member.joined')).at(-1)).toMatchObject({
    facts: { workspaceId: id, role: 'supervisor' },
  });
});

it('answers and mails the same for a known and an unknown address', async () => {
  const id = await newWorkspace(auth, root);
  const known = await auth.member();
  const answers = await Promise.all(
    [known.email, newPerson('unknown').email].map((email) =>
      as(auth, root)('POST', `/api/workspaces/${id}/invitations`, { email }),
    ),
  );
  const shapes = answers.map(({ status, text }) => [status, Object.keys(JSON.parse(text).invitation as object)]);
  expect(shapes[0]).toEqual(shapes[1]);
  const texts = await Promise.all(
    answers.map(async (answer) => {
      const mail = await auth.mails.waitForMail(json(answer).invitation.email, ({ subject }) =>
        subject.includes('invited'),
      );
      return mail.text.replaceAll(/[0-9a-f]{64}/g, 'TOKEN');
    }),
  );
  expect(texts[0]).toBe(texts[1]);
});

it('stores the token as a keyed hash only, and writes it to no log of facts', async () => {
  const id = await newWorkspace(auth, root);
  const { email } = newPerson('hashed');
  const token = await invite(auth, root, { workspaceId: id, email });
  for (const name of ['invitations', 'mail_queue', 'audit_log', 'mailed_codes']) {
    expect(JSON.stringify(await auth.db.collection(name).find().toArray())).not.toContain(token);
  }
});

it('refuses everybody but the owner of the address, with the same words as an unknown token', async () => {
  const id = await newWorkspace(auth, root);
  const [alice, mallory] = [await auth.loggedIn(), await auth.loggedIn('mallory')];
  const token = await invite(auth, root, { workspaceId: id, email: alice.email, role: 'admin' });
  const stolen = await accept(auth, mallory, token);
  const unknown = await accept(auth, mallory, randomBytes(32).toString('hex'));
  const bodies = [stolen, unknown].map(({ body: { code, error, status } }) => ({ code, error, status }));
  expect(bodies[0]).toMatchObject({ status: 400, code: 'invalid_code' });
  expect(bodies[0]).toEqual(bodies[1]);
  for (const bad of [null, '', [], {}, { $gt: '' }, undefined, 7]) {
    expect((await as(auth, mallory)('POST', '/api/workspaces/invitations/accept', { token: bad })).status).toBe(400);
  }
  expect(await membership(id, mallory.userId)).toBeNull();
  expect((await accept(auth, alice, token)).status).toBe(200);
});

it('counts once among 50 uses at once', async () => {
  const id = await newWorkspace(auth, root);
  const alice = await auth.loggedIn();
  const token = await invite(auth, root, { workspaceId: id, email: alice.email });
  expect(statuses(await times(50, () => accept(auth, alice, token)))).toEqual({ 200: 1, 400: 49 });
  expect(await membership(id, alice.userId)).toMatchObject({ version: 1, isActive: true, role: 'enduser' });
});

it('is replaced by the next one to the same address, among 20 at once as well', async () => {
  const id = await newWorkspace(auth, root);
  const alice = await auth.loggedIn();
  const first = await invite(auth, root, { workspaceId: id, email: alice.email });
  const second = await invite(auth, root, { workspaceId: id, email: alice.email.toUpperCase(), role: 'supervisor' });
  expect((await accept(auth, alice, first)).status).toBe(400);
  expect((await invitationsOf(id)).map(({ role }) => role)).toEqual(['supervisor']);
  expect((await accept(auth, alice, second)).status).toBe(200);
  expect(await invitationsOf(id)).toEqual([]);
  const { email } = newPerson('often');
  const answers = await times(20, () => as(auth, root)('POST', `/api/workspaces/${id}/invitations`, { email }));
  expect(statuses(answers)).toEqual({ 201: 20 });
  expect(await invitationsOf(id)).toHaveLength(1);
});

it('is worth nothing after it was taken back, and is taken back only in its own workspace', async () => {
  const [id, other] = [await newWorkspace(auth, root), await newWorkspace(auth, root)];
  const alice = await auth.loggedIn();
  const token = await invite(auth, root, { workspaceId: id, email: alice.email });
  const [invitation] = await invitationsOf(id);
  const takeBack = (workspaceId: string) =>
    as(auth, root)('DELETE', `/api/workspaces/${workspaceId}/invitations/${invitation?.id}`);
  expect((await takeBack(other)).status).toBe(404);
  expect((await takeBack(id)).status).toBe(200);
  expect((await takeBack(id)).status).toBe(404);
  expect((await accept(auth, alice, token)).status).toBe(400);
});

it('brings nobody back who was removed after it was sent', async () => {
  const id = await newWorkspace(auth, root);
  const alice = await join(auth, root, id);
  const kept = await invite(auth, root, { workspaceId: id, email: alice.email, role: 'admin' });
  await as(auth, root)('DELETE', `/api/workspaces/${id}/members/${alice.userId}`);
  const refused = await accept(auth, alice, kept);
  expect([refused.status, json(refused).code]).toEqual([400, 'invalid_code']);
  expect(await membership(id, alice.userId)).toMatchObject({ isActive: false });
  const again = await invite(auth, root, { workspaceId: id, email: alice.email });
  expect((await accept(auth, alice, again)).status).toBe(200);
});

it('is void once whoever invited may not invite any more', async () => {
  const id = await newWorkspace(auth, root);
  const [admin, accomplice] = [await join(auth, root, id, 'admin'), await auth.loggedIn('accomplice')];
  const token = await invite(auth, admin, { workspaceId: id, email: accomplice.email, role: 'admin' });
  await as(auth, root)('DELETE', `/api/workspaces/${id}/members/${admin.userId}`);
  expect((await accept(auth, accomplice, token)).status).toBe(400);
  expect(await membership(id, accomplice.userId)).toBeNull();
});

it('leaves members what they are: an invitation is no way round a change of role', async () => {
  const id = await newWorkspace(auth, root);
  const alice = await join(auth, root, id);
  const token = await invite(auth, root, { workspaceId: id, email: alice.email, role: 'admin' });
  const answer = await accept(auth, alice, token);
  expect([answer.status, json(answer).workspace.role]).toEqual([200, 'enduser']);
  expect(await membership(id, alice.userId)).toMatchObject({ role: 'enduser', version: 1 });
});

it('refuses an owner as a role, fields that are not named, and a page of another size', async () => {
  const id = await newWorkspace(auth, root);
  const { email } = newPerson('x');
  const path = `/api/workspaces/${id}/invitations`;
  for (const body of [
    { email, role: 'owner' },
    { email, workspaceId: id },
    { email: 'a@b@c' },
    { email: [email] },
    {},
  ]) {
    expect((await as(auth, root)('POST', path, body)).status).toBe(400);
  }
  expect((await as(auth, root)('GET', `${path}?limit=101`)).status).toBe(400);
  expect((await as(auth, root)('DELETE', `${path}/${randomUUID()}`)).status).toBe(404);
  expect(await invitationsOf(id)).toEqual([]);
});

it('ends after seven days', async () => {
  const clock = manualClock(Date.now());
  const other = await Auth.start({ clock, env: { ACCESS_TOKEN_TTL: '1h' } });
  try {
    const boss = await other.admin('boss');
    const id = await newWorkspace(other, boss);
    const alice = await other.member();
    const token = await invite(other, boss, { workspaceId: id, email: alice.email });
    clock.advance(7 * DAY_MS);
    expect((await accept(other, await other.session(alice), token)).status).toBe(400);
    const again = await inWorkspace(other, boss, id);
    expect(json(await as(other, again)('GET', `/api/workspaces/${id}/invitations`)).invitations).toEqual([]);
  } finally {
    await other.stop();
  }
});
