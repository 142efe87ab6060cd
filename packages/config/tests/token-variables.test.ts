import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import {
  ConfigError,
  type Environment,
  readConfig,
  serviceVariables,
  signingVariables,
  signsWithOneAlgorithm,
  verifiesOneAlgorithm,
  verifyingVariables,
} from '../src/index.ts';

const reader = (text: string) => {
  if (!text.startsWith('key-')) throw new RangeError('holds no key');
  return { text };
};
const Signing = z.object({ ...serviceVariables, ...signingVariables(reader) }).superRefine(signsWithOneAlgorithm);
const Verifying = z.object({ ...serviceVariables, ...verifyingVariables(reader) }).superRefine(verifiesOneAlgorithm);

const secret = randomBytes(32).toString('base64url');
const url = 'https://auth.example.test/.well-known/jwks.json';

function faultsOf(schema: typeof Signing | typeof Verifying, env: Environment): string[] {
  try {
    readConfig(schema as z.ZodObject, env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ name, message }) => `${name} ${message}`);
    throw error;
  }
}

describe('the keys of access tokens', () => {
  it('are a shared secret unless something else is said', () => {
    expect(readConfig(Signing, { JWT_ACCESS_SECRET: secret })).toMatchObject({
      JWT_ALG: 'HS256',
      JWT_EXTRA_AUDIENCES: [],
    });
    expect(faultsOf(Verifying, { JWT_ACCESS_SECRET: secret })).toEqual([]);
    expect(faultsOf(Signing, {})).toEqual(['JWT_ACCESS_SECRET is required for JWT_ALG=HS256']);
    expect(faultsOf(Verifying, {})).toEqual(['JWT_ACCESS_SECRET is required for JWT_ALG=HS256']);
  });

  it('for EdDSA are private where tokens are signed and public elsewhere, from one place', () => {
    const JWT_ALG = 'EdDSA';
    expect(readConfig(Signing, { JWT_ALG, JWT_PRIVATE_KEYS: 'key-a' }).JWT_PRIVATE_KEYS).toEqual({ text: 'key-a' });
    expect(readConfig(Verifying, { JWT_ALG, JWT_JWKS_URL: url }).JWT_JWKS_URL).toBe(url);
    expect(readConfig(Verifying, { JWT_ALG, JWT_PUBLIC_KEYS: 'key-a' }).JWT_PUBLIC_KEYS).toEqual({ text: 'key-a' });
    expect(faultsOf(Signing, { JWT_ALG })).toEqual(['JWT_PRIVATE_KEYS is required for JWT_ALG=EdDSA']);
    expect(faultsOf(Verifying, { JWT_ALG })).toEqual([
      'JWT_JWKS_URL is required for JWT_ALG=EdDSA, or JWT_PUBLIC_KEYS',
    ]);
    expect(faultsOf(Verifying, { JWT_ALG, JWT_JWKS_URL: url, JWT_PUBLIC_KEYS: 'key-a' })).toEqual([
      'JWT_PUBLIC_KEYS is given beside JWT_JWKS_URL: only one can be meant',
    ]);
  });

  it('of the other algorithm are refused beside it', () => {
    const eddsa = { JWT_ALG: 'EdDSA', JWT_ACCESS_SECRET: secret };
    expect(faultsOf(Signing, { ...eddsa, JWT_PRIVATE_KEYS: 'key-a' })).toEqual([
      'JWT_ACCESS_SECRET contradicts JWT_ALG=EdDSA',
    ]);
    expect(faultsOf(Verifying, { ...eddsa, JWT_JWKS_URL: url })).toEqual([
      'JWT_ACCESS_SECRET contradicts JWT_ALG=EdDSA',
    ]);
    const hs256 = { JWT_ACCESS_SECRET: secret };
    expect(faultsOf(Signing, { ...hs256, JWT_PRIVATE_KEYS: 'key-a' })).toEqual([
      'JWT_PRIVATE_KEYS contradicts JWT_ALG=HS256',
    ]);
    expect(faultsOf(Verifying, { ...hs256, JWT_JWKS_URL: url })).toEqual(['JWT_JWKS_URL contradicts JWT_ALG=HS256']);
    expect(faultsOf(Verifying, { ...hs256, JWT_ALG: 'RS256' })).toHaveLength(1);
  });

  it('that cannot be read are a fault without a word of them', () => {
    expect(faultsOf(Signing, { JWT_ALG: 'EdDSA', JWT_PRIVATE_KEYS: 'nothing' })).toEqual([
      'JWT_PRIVATE_KEYS holds no key',
    ]);
    for (const address of ['auth.example.test', 'file:///keys', 'https://u:p@auth.example.test/']) {
      expect(faultsOf(Verifying, { JWT_ALG: 'EdDSA', JWT_JWKS_URL: address })).toHaveLength(1);
    }
  });

  it('may be for services of others, ten at most', () => {
    const audiencesOf = (text: string) => readConfig(Signing, { JWT_ACCESS_SECRET: secret, JWT_EXTRA_AUDIENCES: text });
    expect(audiencesOf('billing, https://crm.example.test').JWT_EXTRA_AUDIENCES).toEqual([
      'billing',
      'https://crm.example.test',
    ]);
    expect(() => audiencesOf('two words')).toThrow(ConfigError);
    expect(() => audiencesOf(Array.from({ length: 11 }, (_, index) => `s${index}`).join(','))).toThrow(ConfigError);
  });
});
