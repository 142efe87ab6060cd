import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createRemoteKeys, createVerifier, KeysUnavailableError } from '../src/index.ts';
import { publicSetOf, readPrivateKeys } from '../src/sign.ts';
import { accessPayload, encode, ISSUER, NOW, standingClock } from './forge.ts';

type Answer = (response: ServerResponse) => void;
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** An issuer that answers as it is told and counts how often it was asked. */
async function startIssuer(first: Answer) {
  let answer = first;
  let calls = 0;
  const server = createServer((_request, response) => {
    calls += 1;
    answer(response);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/.well-known/jwks.json`,
    calls: () => calls,
    answers: (next: Answer) => void (answer = next),
  };
}

const setOf = (...keys: KeyObject[]): Answer => {
  const text = keys.map((key) => key.export({ type: 'pkcs8', format: 'pem' })).join('');
  return (response) => void response.end(JSON.stringify(publicSetOf(readPrivateKeys(text))));
};
const fails: Answer = (response) => void response.writeHead(500).end();

const newKey = () => generateKeyPairSync('ed25519').privateKey;
const kidOf = (key: KeyObject) => readPrivateKeys(String(key.export({ type: 'pkcs8', format: 'pem' }))).keys[0].kid;
const [first, second] = [newKey(), newKey()];

let serial = 0;
/** A new token each time, so that none is answered from memory. */
function tokenOf(key: KeyObject, kid = kidOf(key), header: object = {}): string {
  serial += 1;
  const payload = accessPayload({ jti: `jti-${serial}`, exp: NOW + 90_000 });
  const input = `${encode({ alg: 'EdDSA', kid, ...header })}.${encode(payload)}`;
  return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`;
}

async function setUp(answer: Answer, over: { timeoutMs?: number } = {}) {
  const clock = standingClock();
  const issuer = await startIssuer(answer);
  const failures: unknown[] = [];
  const keys = createRemoteKeys({ url: issuer.url, clock, failed: (error) => failures.push(error), ...over });
  const verifier = createVerifier({ keys, issuer: ISSUER, audience: 'accounting', clock });
  const judge = async (token: string): Promise<string> => {
    try {
      await verifier.verifyAccess(token);
      return 'accepted';
    } catch (error) {
      return error instanceof KeysUnavailableError ? 'unavailable' : String((error as { reason: string }).reason);
    }
  };
  return { clock, issuer, failures, keys, verifier, judge };
}

describe('keys of an issuer', () => {
  it('are fetched once for any number of first tokens', async () => {
    const { issuer, judge } = await setUp(setOf(first));
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => judge(tokenOf(first))));
    expect(new Set(verdicts)).toEqual(new Set(['accepted']));
    expect(issuer.calls()).toBe(1);
  });

  it('are fetched again for an unknown name, at most once in 30 s however many tokens bring one', async () => {
    const { clock, issuer, judge } = await setUp(setOf(first));
    expect(await judge(tokenOf(first))).toBe('accepted');
    clock.set(NOW + 29);
    const flood = async () =>
      new Set(await Promise.all(Array.from({ length: 200 }, (_, index) => judge(tokenOf(second, `made-up-${index}`)))));
    expect(await flood()).toEqual(new Set(['unknown-key']));
    expect(issuer.calls()).toBe(1);
    clock.set(NOW + 30);
    expect(await flood()).toEqual(new Set(['unknown-key']));
    expect(await flood()).toEqual(new Set(['unknown-key']));
    expect(issuer.calls()).toBe(2);
    expect(await judge(tokenOf(first))).toBe('accepted');
  });

  it('follow a rotation: a token of the new key is accepted at once, one of the old key until it is withdrawn', async () => {
    const { clock, issuer, judge } = await setUp(setOf(first));
    const remembered = tokenOf(first);
    expect(await judge(remembered)).toBe('accepted');
    issuer.answers(setOf(second, first));
    clock.set(NOW + 31);
    expect(await judge(tokenOf(second))).toBe('accepted');
    expect(await judge(tokenOf(first))).toBe('accepted');
    expect(await judge(remembered)).toBe('accepted');
    issuer.answers(setOf(second));
    clock.set(NOW + 700);
    expect(await judge(tokenOf(second, 'unknown'))).toBe('unknown-key');
    expect(await judge(tokenOf(first))).toBe('unknown-key');
    expect(await judge(remembered)).toBe('unknown-key');
  });

  it('older than ten minutes are asked for again, without a token waiting for it', async () => {
    const { clock, issuer, keys, judge } = await setUp(setOf(second, first));
    expect(await judge(tokenOf(first))).toBe('accepted');
    issuer.answers(setOf(second));
    clock.set(NOW + 600);
    expect(await judge(tokenOf(first))).toBe('accepted');
    await keys.find('the refresh under way is joined');
    expect(issuer.calls()).toBe(2);
    expect(await judge(tokenOf(first))).toBe('unknown-key');
  });

  it('that were fetched serve on while the issuer is away; an unknown name is then no verdict', async () => {
    const { clock, issuer, judge, failures } = await setUp(setOf(first));
    expect(await judge(tokenOf(first))).toBe('accepted');
    issuer.answers(fails);
    clock.set(NOW + 60);
    expect(await judge(tokenOf(second))).toBe('unavailable');
    expect(await judge(tokenOf(first))).toBe('accepted');
    expect(failures).toHaveLength(1);
    issuer.answers(setOf(second, first));
    expect(await judge(tokenOf(second))).toBe('unavailable');
    clock.set(NOW + 90);
    expect(await judge(tokenOf(second))).toBe('accepted');
    expect(issuer.calls()).toBe(3);
  });

  it('that were never there make no token bad, and are asked for every two seconds until they come', async () => {
    const { clock, issuer, keys, judge } = await setUp(fails);
    await expect(keys.ready()).rejects.toThrow(KeysUnavailableError);
    for (let call = 0; call < 20; call += 1) expect(await judge(tokenOf(first))).toBe('unavailable');
    expect(issuer.calls()).toBe(1);
    clock.set(NOW + 2);
    expect(await judge(tokenOf(first))).toBe('unavailable');
    expect(issuer.calls()).toBe(2);
    issuer.answers(setOf(first));
    clock.set(NOW + 4);
    expect(await judge(tokenOf(first))).toBe('accepted');
    await expect(keys.ready()).resolves.toBeUndefined();
    expect(issuer.calls()).toBe(3);
  });

  it.each<[string, Answer]>([
    ['another status', fails],
    ['no JSON', (response) => void response.end('<html>')],
    ['an empty set', (response) => void response.end('{"keys":[]}')],
    ['a shared secret', (response) => void response.end('{"keys":[{"kty":"oct","alg":"HS256","kid":"a","k":"AAAA"}]}')],
    ['private keys', (response) => void response.end(JSON.stringify({ keys: [first.export({ format: 'jwk' })] }))],
    ['too much', (response) => void response.end(`{"keys":[],"x":"${'x'.repeat(70_000)}"}`)],
    ['a redirect', (response) => void response.writeHead(302, { location: '/' }).end()],
    ['a broken connection', (response) => void response.destroy()],
  ])('are not taken from an answer with %s', async (_what, answer) => {
    const { clock, issuer, judge, failures } = await setUp(answer);
    expect(await judge(tokenOf(first))).toBe('unavailable');
    expect(issuer.calls()).toBe(1);
    expect(failures).toHaveLength(1);
    expect(String(failures[0])).not.toContain(first.export({ format: 'jwk' }).d);
    issuer.answers(setOf(first));
    clock.set(NOW + 2);
    expect(await judge(tokenOf(first))).toBe('accepted');
  });

  it('are not waited for beyond the timeout', async () => {
    const { judge, failures } = await setUp(() => undefined, { timeoutMs: 50 });
    expect(await judge(tokenOf(first))).toBe('unavailable');
    expect(failures).toMatchObject([{ name: 'TimeoutError' }]);
  });

  it('are never looked for where a token says', async () => {
    const { issuer, judge } = await setUp(setOf(first));
    const elsewhere = await startIssuer(setOf(second));
    expect(await judge(tokenOf(first))).toBe('accepted');
    for (const member of ['jku', 'x5u']) {
      expect(await judge(tokenOf(second, kidOf(second), { [member]: elsewhere.url }))).toBe('malformed');
    }
    expect(await judge(tokenOf(second, elsewhere.url.slice(0, 60)))).toBe('unknown-key');
    expect([issuer.calls(), elsewhere.calls()]).toEqual([1, 0]);
  });

  it('bound the signature check to their algorithm', async () => {
    const { judge, keys } = await setUp(setOf(first));
    expect(keys.alg).toBe('EdDSA');
    expect(await judge(tokenOf(first, kidOf(first), { alg: 'HS256' }))).toBe('malformed');
  });
});
