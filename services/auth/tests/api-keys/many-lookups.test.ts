import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createRateLimiter } from '@tollgate/http-kit';
import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';
import { readAuthConfig } from '../../src/config.ts';
import { Auth, times } from '../auth.ts';

const CALLS = 5;

let auth: Auth;
beforeAll(async () => {
  const callsPerService = createRateLimiter({ name: 'calls', points: CALLS, windowSeconds: 60 });
  auth = await Auth.start({ callsPerService });
});
afterAll(() => auth.stop());

it('lets a service hear of revocations, however many keys strangers make it ask about', async () => {
  const keys = readAuthConfig(auth.env).tokens.serviceKeys;
  const clock = { now: () => Date.now() };
  const token = await createServiceTokenSource({ service: 'chat-proxy', keys, clock }).tokenFor('auth');
  const ask = () => auth.post('/api/internal/api-keys/verify', { key: 'tg_wrong' }, { token });
  const answers = await times(CALLS + 1, ask);
  expect(answers.filter(({ status }) => status === 429)).toHaveLength(1);
  expect((await auth.call('GET', '/api/internal/revocations', { token })).status).toBe(200);
});
