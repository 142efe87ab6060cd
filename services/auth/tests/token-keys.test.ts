import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createVerifier, readPublicKeys } from '@tollgate/jwt-claims';
import { Auth } from './auth.ts';

const KEY_SET = '/.well-known/jwks.json';
const newPem = () => String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));

describe('with a shared secret', () => {
  let auth: Auth;
  beforeAll(async () => {
    auth = await Auth.start();
  });
  afterAll(() => auth.stop());

  it('publishes no keys', async () => {
    expect(await auth.call('GET', KEY_SET)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });
});

describe('with EdDSA', () => {
  let auth: Auth;
  beforeAll(async () => {
    const env = { JWT_ALG: 'EdDSA', JWT_ACCESS_SECRET: '', JWT_PRIVATE_KEYS: newPem() + newPem() };
    auth = await Auth.start({ env: { ...env, JWT_EXTRA_AUDIENCES: 'billing' } });
  });
  afterAll(() => auth.stop());

  it('lets a third service verify with what it publishes, and nobody who is not named', async () => {
    const person = await auth.member();
    const { body } = await auth.logIn(person.username, person.password);
    const { text, headers } = await auth.call('GET', KEY_SET);
    expect(headers.get('cache-control')).toBe('public, max-age=300');
    expect(Object.keys(JSON.parse(text) as object)).toEqual(['keys']);
    const verifierFor = (audience: string) =>
      createVerifier({ keys: readPublicKeys(text), issuer: 'tollgate', audience }).verifyAccess(body.accessToken);
    await expect(verifierFor('billing')).resolves.toMatchObject({ sub: person.userId, role: 'enduser' });
    await expect(verifierFor('somebody-else')).rejects.toMatchObject({ reason: 'wrong-audience' });
    expect((await auth.profile(body.accessToken)).status).toBe(200);
  });

  it('refreshes and logs out with refresh tokens that no public key can make', async () => {
    const person = await auth.member('bob');
    const { body } = await auth.logIn(person.username, person.password);
    const refreshed = await auth.refresh(body.refreshToken);
    expect(refreshed.status).toBe(200);
    expect((await auth.refresh(body.accessToken)).body.code).toBe('invalid_refresh_token');
    await auth.post('/api/auth/logout', undefined, { token: refreshed.body.accessToken });
    expect((await auth.profile(refreshed.body.accessToken)).status).toBe(401);
  });
});
