import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callJson, type Person, type Platform, startPlatform } from '@tollgate/test-kit';
import { generateSync } from 'otplib';

let platform: Platform;
let alice: Person;
let challenge: string;
beforeAll(async () => {
  platform = await startPlatform();
  alice = await platform.user({ credits: 0, assign: false });
  await alice.auth('POST', '/api/auth/step-up', { password: alice.password });
  const { body: enrolled } = await alice.auth<{ secret: string }>('POST', '/api/mfa/totp/enrol');
  await alice.auth('POST', '/api/mfa/totp/confirm', { code: generateSync({ secret: enrolled.secret }) });
  challenge = (await logIn<{ challenge: string }>(`${platform.urls.auth}/api/auth/login`)).body.challenge;
}, 120_000);
afterAll(() => platform.stop());

const logIn = <T>(url: string) =>
  callJson<T>('POST', url, { body: { username: alice.username, password: alice.password } });

describe('a login that stopped at its second factor', () => {
  const PATHS = {
    auth: '/api/profile',
    chatProxy: '/api/v1/chat/sessions',
    accounting: '/api/credits/balance',
  } as const;

  it.each(Object.keys(PATHS) as (keyof typeof PATHS)[])('opens nothing on %s', async (service) => {
    expect(challenge).toMatch(/^[\w-]{43}$/);
    const url = platform.urls[service] + PATHS[service];
    const answers = [
      await callJson('GET', url, { token: challenge }),
      await callJson('GET', url, { headers: { authorization: `Bearer ${challenge}.${challenge}.${challenge}` } }),
    ];
    for (const { status, body } of answers) expect([status, body['code']]).toEqual([401, 'invalid_token']);
    const cookie = await callJson('GET', url, { headers: { cookie: `accessToken=${challenge}` } });
    expect(cookie.status).toBe(401);
  });
});

it('sends whoever has a second factor from the login of the chat proxy to auth, and gives no secret away', async () => {
  const { status, body } = await logIn<Record<string, unknown>>(`${platform.urls.chatProxy}/api/v1/chat/authenticate`);
  expect([status, body['code']]).toEqual([401, 'mfa_required']);
  expect(JSON.stringify(body)).not.toMatch(/challenge|token/i);
});
