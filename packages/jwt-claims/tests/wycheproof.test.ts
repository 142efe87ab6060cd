import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { createServiceVerifier, readPublicKeys, readSecretSet, TokenError } from '../src/index.ts';
import { createSignatureCheck } from '../src/jws.ts';

// tests/vectors/README.md says where the vectors come from.

type Vector = { tcId: number; comment: string; result: 'valid' | 'invalid'; jws: unknown };
type Jwk = Record<string, string>;

const groupsOf = <Group>(file: string): Group[] =>
  (JSON.parse(readFileSync(new URL(`vectors/${file}`, import.meta.url), 'utf8')) as { testGroups: Group[] }).testGroups;

/** The whole way from a JWK Set to a verdict. Tokens in the JSON serialization arrive as JSON text. */
async function judge(keySet: { keys: Jwk[] }, jws: unknown): Promise<'valid' | 'invalid'> {
  try {
    const keys = keySet.keys.some(({ kty }) => kty === 'oct')
      ? readSecretSet(keySet)
      : readPublicKeys(JSON.stringify(keySet));
    await createSignatureCheck(keys, 'strict')(typeof jws === 'string' ? jws : JSON.stringify(jws));
    return 'valid';
  } catch (error) {
    if (error instanceof TokenError || error instanceof RangeError) return 'invalid';
    throw error;
  }
}

describe('Wycheproof json_web_signature, HS256', () => {
  const groups = groupsOf<{ comment: string; key: Jwk; tests: Vector[] }>('wycheproof-jws-hs256.json');
  const vectors = groups.flatMap(({ comment, key, tests }) =>
    tests.map((vector) => ({ ...vector, group: comment, key })),
  );

  /** Where our verdict is another one than the label. */
  const DEVIATIONS: Readonly<Record<number, string>> = {
    367: 'labelled invalid for its padding, but the published token is the one of 357, without padding',
    370: 'the same: the published token is the one of 357',
    372: 'labelled valid with a "?" in the header: only canonical base64url is accepted here',
    373: 'the same in the payload',
  };

  it('are 40 vectors, of which four are judged otherwise for a reason', () => {
    expect(vectors).toHaveLength(40);
    expect(vectors.filter(({ tcId }) => tcId in DEVIATIONS)).toHaveLength(4);
    const textOf = (wanted: number) => vectors.find(({ tcId }) => tcId === wanted)?.jws;
    expect([textOf(367), textOf(370)]).toEqual([textOf(357), textOf(357)]);
    expect([textOf(372), textOf(373)]).toEqual([expect.stringContaining('?'), expect.stringContaining('?')]);
  });

  it.each(vectors)('$group $tcId $comment is $result', async ({ tcId, key, jws, result }) => {
    const opposite = result === 'valid' ? 'invalid' : 'valid';
    expect(await judge({ keys: [key] }, jws)).toBe(tcId in DEVIATIONS ? opposite : result);
  });
});

describe('Wycheproof json_web_key', () => {
  const groups = groupsOf<{ comment: string; keySet: { keys: Jwk[] }; tests: Vector[] }>('wycheproof-jwk.json');
  const vectors = groups.flatMap(({ comment, keySet, tests }) =>
    tests.map((vector) => ({ ...vector, group: comment, keySet })),
  );

  /** Good keys that are refused because nothing is signed with their algorithm here. */
  const OTHER_ALGORITHMS: Readonly<Record<number, string>> = { 5: 'RS256', 14: 'HS384', 15: 'HS512' };

  it('are 26 vectors, of which three are of algorithms that are not accepted', () => {
    expect(vectors).toHaveLength(26);
    for (const [tcId, alg] of Object.entries(OTHER_ALGORITHMS)) {
      const vector = vectors.find((each) => each.tcId === Number(tcId));
      expect(vector).toMatchObject({ result: 'valid', keySet: { keys: [{ alg }] } });
    }
  });

  it.each(vectors)('$group $tcId $comment is $result', async ({ tcId, keySet, jws, result }) => {
    expect(await judge(keySet, jws)).toBe(tcId in OTHER_ALGORITHMS ? 'invalid' : result);
  });

  it('and no HMAC secret is shorter than 32 bytes, however it is given', () => {
    const short = vectors.filter(({ group, result }) => /^HS\d{3}$/.test(group) && result === 'invalid');
    expect(short).toHaveLength(6);
    for (const { keySet } of short) {
      expect(() => readSecretSet(keySet)).toThrow(RangeError);
      const secret = Buffer.from(keySet.keys[0]?.['k'] ?? '', 'base64url').subarray(0, 31);
      const keys = [{ kid: 'k1', secret }];
      expect(() => createServiceVerifier({ keys, audience: 'auth' })).toThrow('shorter than 32 bytes');
    }
  });
});
