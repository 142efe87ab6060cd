import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Auth, codeIn, newPerson, tokenIn } from '../auth.ts';

let auth: Auth;
let written = '';
const logs = new Writable({
  write(chunk, _encoding, done) {
    written += String(chunk);
    done();
  },
});
beforeAll(async () => {
  auth = await Auth.start({ logs, env: { LOG_LEVEL: 'debug', RATE_LIMITS: 'true' } });
});
afterAll(() => auth.stop());

/** Everything an answer said, errors included. */
let answered = '';
const secrets = new Set<string>();
const canary = (name: string): string => {
  const value = `canary-${name}-${randomBytes(12).toString('hex')}`;
  secrets.add(value);
  return value;
};
const noted = (secret: string): string => {
  secrets.add(secret);
  return secret;
};

async function call(method: string, path: string, body?: unknown, token?: string) {
  const headers = {
    'x-canary': canary('header'),
    // Beside a token it would be a second credential, which is refused.
    ...(!token && { 'x-api-key': canary('key') }),
    cookie: `other=${canary('cookie')}`,
    'user-agent': 'Mozilla/5.0',
  };
  const answer = await auth.call(method, path, {
    headers,
    ...(body !== undefined && { body }),
    ...(token && { token }),
  });
  // Tokens belong into the answers of a login; nothing secret belongs into any other.
  if (answer.status >= 400) answered += answer.text;
  return answer;
}

it('keeps passwords, tokens and codes out of logs, audit lines, metrics and error answers', async () => {
  const person = { ...newPerson('alice'), password: canary('password') };
  const { username, email, password } = person;
  await call('POST', '/api/auth/signup', { username, email, password });
  await call('POST', '/api/auth/signup', { username, email: canary('email'), password: canary('password') });
  const code = noted(codeIn(await auth.mails.waitForMail(email)));
  await call('POST', '/api/auth/verify-email', { token: canary('code') });
  await call('POST', '/api/auth/verify-email', { token: code });
  await call('POST', '/api/auth/login', { username: canary('name'), password: canary('password') });
  await call('POST', '/api/auth/login', { username, password: { $ne: canary('operator') } });
  await auth.call('POST', '/api/auth/login', { raw: `{"username":"x","password":"${canary('broken')}` });
  const { body } = await call('POST', '/api/auth/login', { username, password });
  const token = noted(body.accessToken);
  noted(body.refreshToken);
  await call('GET', '/api/profile', undefined, token);
  await call('GET', '/api/profile', undefined, `${token}x`);
  await call('GET', '/api/profile');
  await call('GET', '/api/profile', undefined, canary('tg_bearer'));
  await call('GET', `/api/profile?token=${canary('query')}`, undefined, canary('bearer'));
  await call('GET', '/api/admin/users', undefined, token);
  const email2 = newPerson('new').email;
  await call('PUT', '/api/profile', { email: email2, currentPassword: canary('password') }, token);
  await call('PUT', '/api/profile', { email: email2, currentPassword: password }, token);
  noted(tokenIn(await auth.mails.waitForMail(email2)));
  const newPassword = canary('password');
  await call('POST', '/api/change-password', { currentPassword: canary('password'), newPassword }, token);
  await call('POST', '/api/change-password', { currentPassword: password, newPassword: 'password' }, token);
  await call('POST', '/api/change-password', { currentPassword: password, newPassword }, token);
  await call('POST', '/api/auth/forgot-password', { email });
  const reset = noted(tokenIn(await auth.mails.waitForMail(email, (mail) => mail.text.includes('token:'))));
  await call('POST', '/api/auth/reset-password', { token: canary('token'), newPassword: canary('password') });
  await call('POST', '/api/auth/reset-password', { token: reset, newPassword: canary('password') });
  const rotated = await call('POST', '/api/auth/refresh', { refreshToken: body.refreshToken });
  if (rotated.status === 200) noted(rotated.body.refreshToken);
  await call('POST', '/api/auth/refresh', { refreshToken: canary('refresh') });
  await call('POST', '/api/auth/logout', { refreshToken: canary('refresh') });
  const root = await auth.admin();
  noted(root.accessToken);
  const path = `/api/admin/users/${(await auth.db.collection('users').findOne({ username }))?._id.toHexString()}`;
  const generated = await call('POST', `${path}/reset-password`, { generateRandom: true }, root.accessToken);
  noted(generated.body.generatedPassword);
  await call('POST', `${path}/reset-password`, { newPassword: canary('password') }, root.accessToken);

  const metrics = (await auth.call('GET', '/metrics')).text;
  const lines = JSON.stringify(await auth.db.collection('audit_log').find().toArray());
  const queued = JSON.stringify(await auth.db.collection('mail_queue').find().toArray());
  expect(written.length).toBeGreaterThan(1000);
  expect(lines).toContain('password.set-by-admin');
  expect(metrics).toContain('tollgate_auth_event_total');
  const outputs = { written, lines, queued, metrics, answered };
  const leaks = Object.entries(outputs).flatMap(([name, text]) =>
    [...secrets].filter((secret) => text.includes(secret)).map((secret) => `${secret} in ${name}`),
  );
  expect(leaks).toEqual([]);
  expect(secrets.size).toBeGreaterThan(60);
});

it('writes one well-formed line of log for whatever a client says of itself', async () => {
  written = '';
  const nasty = 'x\u0085"}{"level":"error","message":"forged\u009b31m';
  const path = '/api/admin/%0d%0a%7B%22level%22%3A%22error%22%7D%1b[31m';
  for (const username of [`a\r\n{"level":"error"}\u001b[31m`, 'b\u2028c', '</script>'])
    await auth.call('POST', '/api/auth/login', {
      body: { username, password: 'x' },
      headers: { 'user-agent': nasty, 'x-request-id': 'a"b c d e f' },
    });
  await auth.call('GET', path, { headers: { 'user-agent': nasty } });
  const lines = written.split('\n').filter(Boolean);
  const facts = lines.map((line) => Object(JSON.parse(line)) as Record<string, unknown>);
  expect(facts.filter(({ service }) => service !== 'auth')).toEqual([]);
  // What goes on beside the requests has no request id.
  const ids = facts.flatMap(({ requestId }) => (requestId === undefined ? [] : [requestId]));
  expect(ids.length).toBeGreaterThanOrEqual(3);
  for (const id of ids) expect(id).toMatch(/^[\w.:-]{8,128}$/);
  for (const sign of ['\u001b', '\u009b', '\u0085', '\u2028', '\r']) expect(written.includes(sign)).toBe(false);
  expect(facts.filter(({ message }) => message === 'forged')).toEqual([]);
});
