import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Answer, callJson, createTestTokens, type Person, type Platform, startPlatform } from '@tollgate/test-kit';

const newPem = () => String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
const [current, previous] = [newPem(), newPem()];

let platform: Platform;
let alice: Person;
beforeAll(async () => {
  platform = await startPlatform({ privateKeys: current + previous });
  alice = await platform.user({ credits: 50 });
}, 120_000);
afterAll(() => platform.stop());

const PLACES = [
  ['auth', '/api/profile'],
  ['chatProxy', '/api/v1/chat/sessions'],
  ['accounting', '/api/credits/balance'],
] as const;
type Place = (typeof PLACES)[number];

const askAt = ([service, path]: Place, token: string): Promise<Answer> =>
  callJson('GET', platform.urls[service] + path, { token });
const headerOf = (token: string): unknown => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString());
const secrets = { refreshSecret: 'r'.repeat(40), serviceSecret: 's'.repeat(40) };
const tokensOf = (privateKeys: string) => createTestTokens({ ...secrets, accessSecret: 'a'.repeat(40), privateKeys });

describe('a platform whose access tokens are signed with EdDSA', () => {
  it('takes a user from login to a paid answer and a refresh', async () => {
    expect(headerOf(alice.accessToken)).toMatchObject({ alg: 'EdDSA' });
    expect(headerOf(alice.refreshToken)).toMatchObject({ alg: 'HS256' });
    for (const place of PLACES) expect((await askAt(place, alice.accessToken)).status).toBe(200);
    const answer = await alice.chat({ question: 'Is anybody there?', chatflow_id: platform.chatflows.chain });
    await answer.toEnd();
    expect((await platform.untilNoOpenHold(alice.userId)).charged).toBe(1);
    const { refreshToken } = alice;
    const refreshed = await callJson('POST', `${platform.urls.auth}/api/auth/refresh`, { body: { refreshToken } });
    expect(headerOf(String(refreshed.body['accessToken']))).toMatchObject({ alg: 'EdDSA' });
  });

  it('publishes both public keys, the current one first, for everybody and for a while', async () => {
    const response = await fetch(`${platform.urls.auth}/.well-known/jwks.json`);
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('public, max-age=300');
    const x = [current, previous].map((pem) => createPublicKey(pem).export({ format: 'jwk' }).x);
    const { keys } = (await response.json()) as { keys: Record<string, string>[] };
    expect(keys).toEqual(
      x.map((each) => ({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: expect.any(String), x: each })),
    );
    expect(headerOf(alice.accessToken)).toMatchObject({ kid: keys[0]?.['kid'] });
  });

  it('accepts the previous key at the services that fetch them, and no key of a stranger anywhere', async () => {
    const [, ...verifiers] = PLACES;
    const old = await tokensOf(previous).access();
    for (const place of verifiers) expect((await askAt(place, old)).status).toBe(200);
    const strange = await tokensOf(newPem()).access({ role: 'admin' });
    for (const place of PLACES)
      expect(await askAt(place, strange)).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  });

  it('refuses the public key as a shared secret, in every spelling, at every service', async () => {
    const key = createPublicKey(current);
    const jwk = key.export({ format: 'jwk' });
    const pem = String(key.export({ type: 'spki', format: 'pem' }));
    const { kid } = headerOf(alice.accessToken) as { kid: string };
    const [, payload = ''] = alice.accessToken.split('.');
    const input = `${Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'JWT', kid })).toString('base64url')}.${payload}`;
    for (const secret of [
      pem,
      pem.trim(),
      JSON.stringify(jwk),
      String(jwk.x),
      Buffer.from(String(jwk.x), 'base64url'),
    ]) {
      const forged = `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
      for (const place of PLACES) {
        expect(await askAt(place, forged)).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
      }
    }
  });

  it('starts without auth, is alive, tells nobody that a token is bad, and works when auth is back', async () => {
    const [, ...verifiers] = PLACES;
    await Promise.all([platform.auth, platform.accounting, platform.chatProxy].map((each) => each.end('SIGTERM')));
    await Promise.all([platform.accounting.launch(), platform.chatProxy.launch()]);
    for (const place of verifiers) {
      await platform[place[0]].untilAlive();
      const ready = await callJson('GET', `${platform.urls[place[0]]}/health/ready`);
      expect(ready).toMatchObject({ status: 503, body: { checks: { tokenKeys: 'failed' } } });
      const response = await fetch(platform.urls[place[0]] + place[1], {
        headers: { authorization: `Bearer ${alice.accessToken}` },
      });
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toBe('2');
      expect(await response.json()).toMatchObject({ code: 'dependency_unavailable' });
      expect(await askAt(place, 'a.b.c')).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    }
    await platform.auth.start();
    await Promise.all([platform.accounting.untilReady(), platform.chatProxy.untilReady()]);
    for (const place of PLACES) expect((await askAt(place, alice.accessToken)).status).toBe(200);
  });
});
