import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { createVerifier, type KeyRing, type PublicKeys } from '../src/index.ts';
import { publicKeysOf, readPrivateKeys } from '../src/sign.ts';
import { accessPayload, encode, forge, ISSUER, newSecret, standingClock, verdict } from './forge.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const IGNORED = [' ', '\t', '\n', '\r', '\r\n', '\v', '\f', '\0', '\u00A0', '\u2028', '\uFEFF', '?', '#', '%', '='];

const secret = newSecret();
const { privateKey } = generateKeyPairSync('ed25519');
const privateKeys = readPrivateKeys(String(privateKey.export({ type: 'pkcs8', format: 'pem' })));

/** Payloads of three lengths in a row, so that each part ends once with every number of unused bits. */
const payloads = ['a', 'ab', 'abc'].map((username) => accessPayload({ username }));

function signed(payload: object): string {
  const input = `${encode({ alg: 'EdDSA', typ: 'JWT', kid: privateKeys.keys[0].kid })}.${encode(payload)}`;
  return `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`;
}

const CASES: [alg: string, keys: KeyRing | PublicKeys, make: (payload: object) => string][] = [
  ['HS256', [{ kid: 'k1', secret }], (payload) => forge(secret, payload, { kid: 'k1' })],
  ['EdDSA', publicKeysOf(privateKeys), signed],
];

/** Every text that a lenient decoder reads as the bytes of `part`. */
function respelled(part: string): string[] {
  const unusedBits = { 0: 0, 2: 4, 3: 2 }[part.length % 4] ?? 0;
  const last = ALPHABET.indexOf(part.slice(-1));
  const twins = Array.from(
    { length: 2 ** unusedBits - 1 },
    (_, bits) => part.slice(0, -1) + ALPHABET[last ^ (bits + 1)],
  );
  const padded = ['=', '==', '==='].map((padding) => part + padding);
  const spaced = IGNORED.flatMap((character) =>
    [0, 1, Math.floor(part.length / 2), part.length].map((at) => part.slice(0, at) + character + part.slice(at)),
  );
  const standard = [
    part.replaceAll('-', '+'),
    part.replaceAll('_', '/'),
    part.replaceAll('-', '+').replaceAll('_', '/'),
  ];
  return [...twins, ...padded, ...spaced, ...standard].filter((text) => text !== part);
}

const dotted = (token: string): string[] => [
  `.${token}`,
  `${token}.`,
  `${token}..`,
  token.replace('.', '..'),
  token.replaceAll('.', '..'),
  token.replace('.', ' .'),
  token.replaceAll('.', '\u3002'),
  token.replaceAll('.', '%2E'),
];

describe.each(CASES)('other spellings of a valid %s token', (_alg, keys, make) => {
  const verifier = createVerifier({ keys, issuer: ISSUER, audience: 'auth', clock: standingClock() });
  const judge = (token: string) => verdict(verifier.verifyAccess(token));

  it.each([0, 1, 2])('are refused while the token itself is accepted, remembered or not (%d)', async (which) => {
    const token = make(payloads[which] ?? {});
    const parts = token.split('.');
    const spellings = [
      ...parts.flatMap((part, index) => respelled(part).map((text) => parts.with(index, text).join('.'))),
      ...dotted(token),
    ];
    expect(spellings.length).toBeGreaterThan(150);
    for (const spelling of spellings) expect([spelling, await judge(spelling)]).toEqual([spelling, 'malformed']);
    expect(await judge(token)).toBe('accepted');
    for (const spelling of spellings) expect(await judge(spelling)).toBe('malformed');
  });

  it('with the other alphabet are refused for tokens that have both of its characters', async () => {
    const names = Array.from({ length: 200 }, (_, index) => `u${index}?>`);
    const token = names
      .map((username) => make(accessPayload({ username })))
      .find((each) => /-/.test(each) && /_/.test(each));
    expect(await judge(token ?? '')).toBe('accepted');
    expect(await judge((token ?? '').replaceAll('-', '+').replaceAll('_', '/'))).toBe('malformed');
  });
});
