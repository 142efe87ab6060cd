import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { callJson, type Person, type Platform, startPlatform, type Urls } from '@tollgate/test-kit';
import { createAuditor as createLedgerAuditor } from '../../services/accounting/src/audit-deps.ts';
import { readAccountingConfig } from '../../services/accounting/src/config.ts';
import { createAuditor as createAuditLogAuditor } from '../../services/auth/src/audit-deps.ts';
import { readAuthConfig } from '../../services/auth/src/config.ts';
import { createStage, METRICS, type Stage, startRelays } from './rotation.ts';
import { createTraffic, linkToFile, read, type Traffic } from './traffic.ts';

let platform: Platform;
let stage: Stage;
let urls: Urls;
let alice: Person;
let sessionId: string;
let traffic: Traffic;

beforeAll(async () => {
  const relays = await startRelays();
  platform = await startPlatform(relays.env);
  stage = createStage(platform, relays);
  const { auth, accounting, chatProxy } = stage.relays;
  urls = { auth: auth.url, accounting: accounting.url, chatProxy: chatProxy.url };
  alice = await platform.user({ credits: 100_000 });
  const scopes = { name: 'ci', scopes: ['chat:use'], currentPassword: alice.password };
  const { body } = await alice.auth<{ key: string }>('POST', '/api/api-keys', scopes);
  sessionId = await conversationWithFile(alice);
  const chatflow = platform.chatflows.priced;
  traffic = createTraffic({ person: alice, urls, chatflow, apiKey: body.key, sessionId });
}, 120_000);
afterAll(async () => {
  await stage.stop();
  await platform.stop();
});

async function conversationWithFile({ accessToken: token }: Person): Promise<string> {
  const data = `data:text/plain;base64,${Buffer.from('kept\n').toString('base64')}`;
  const uploads = [{ type: 'file', name: 'note.txt', mime: 'text/plain', data }];
  const asked = await fetch(`${urls.chatProxy}/api/v1/chat/predict/stream/store`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ question: 'what does it say?', chatflow_id: platform.chatflows.chain, uploads }),
  });
  await asked.text();
  expect(asked.status).toBe(200);
  const url = `${urls.chatProxy}/api/v1/chat/sessions`;
  const { body } = await callJson<{ sessions: Record<string, string>[] }>('GET', url, { token });
  return String(body.sessions[0]?.['session_id']);
}

it('replaces every secret under traffic, process by process: no call fails and nobody is logged out', async () => {
  const { accessToken, refreshToken } = alice;
  const link = await linkToFile(urls, accessToken, sessionId);
  expect((await read(urls.chatProxy + link)).status).toBe(200);

  await stage.go('listed', traffic.during);
  await stage.go('first', traffic.during);
  // What the old keys have made still counts.
  expect((await read(`${urls.accounting}/api/credits/balance`, accessToken)).status).toBe(200);
  expect((await read(urls.chatProxy + link)).status).toBe(200);
  expect((await read(`${urls.auth}/metrics`, METRICS.old)).status).toBe(200);
  await stage.go('alone', traffic.during);

  expect(traffic.failures).toEqual([]);
  // And now no longer, anywhere.
  for (const url of [`${urls.auth}/api/profile`, `${urls.accounting}/api/credits/balance`])
    expect((await read(url, accessToken)).status).toBe(401);
  expect((await read(`${urls.chatProxy}/api/v1/chat/sessions`, accessToken)).status).toBe(401);
  const refreshed = await callJson('POST', `${urls.auth}/api/auth/refresh`, { body: { refreshToken } });
  expect(refreshed.status).toBe(401);
  expect((await read(urls.chatProxy + link)).status).toBe(404);
  for (const url of Object.values(urls)) expect((await read(`${url}/metrics`, METRICS.old)).status).toBe(404);
  expect(traffic.calls()).toBeGreaterThan(9 * 10);
}, 120_000);

it('proves the past with the keys that made it, which stay listed', async () => {
  const ledger = createLedgerAuditor(readAccountingConfig(stage.environment('accounting')));
  const auditLog = await createAuditLogAuditor(readAuthConfig(stage.environment('auth')));
  try {
    const { checks } = await ledger.verify({});
    expect(checks.filter(({ offenders }) => offenders > 0)).toEqual([]);
    expect(await auditLog.verify({})).toMatchObject({ ok: true, offenders: 0 });
  } finally {
    await Promise.all([ledger.close(), auditLog.close()]);
  }
});
