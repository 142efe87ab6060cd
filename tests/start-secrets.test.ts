import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { ConfigError } from '@tollgate/config';
import { readAccountingConfig } from '../services/accounting/src/config.ts';
import { readAuthConfig } from '../services/auth/src/config.ts';
import { readEnvironment } from '../services/chat-proxy/src/config.ts';

// No service begins in production with a secret that is missing, short, known to everybody, or used for two things,
// nor with anything that is there for tests alone.

type Env = Readonly<Record<string, string>>;

const secret = () => randomBytes(36).toString('base64url');
const common: Env = {
  NODE_ENV: 'production',
  JWT_ACCESS_SECRET: secret(),
  JWT_SERVICE_SECRET: secret(),
  AUTH_API_URL: 'http://auth:3000',
  MAIL_FROM: 'Tollgate <no-reply@example.test>',
};
const mongo = { MONGODB_URI: 'mongodb://db.example.test/x' };

interface Service {
  readonly read: (env: Env) => unknown;
  readonly env: Env;
  readonly secrets: readonly string[];
  readonly eddsa: Env;
}

const pem = String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
const JWT_JWKS_URL = 'http://auth:3000/.well-known/jwks.json';
const users = ['JWT_ACCESS_SECRET', 'JWT_SERVICE_SECRET'] as const;

const SERVICES: Readonly<Record<string, Service>> = {
  auth: {
    read: readAuthConfig,
    env: {
      ...common,
      ...mongo,
      JWT_REFRESH_SECRET: secret(),
      PASSWORD_PEPPER: secret(),
      TOKEN_HASH_SECRET: secret(),
      MFA_ENCRYPTION_KEYS: secret(),
      AUDIT_CHAIN_SECRET: secret(),
      AUDIT_ANCHOR_SECRET: secret(),
      SMTP_URL: 'smtp://mail.example.test',
      PUBLIC_BASE_URL: 'https://auth.example.test',
    },
    secrets: [
      ...users,
      'JWT_REFRESH_SECRET',
      'PASSWORD_PEPPER',
      'TOKEN_HASH_SECRET',
      'MFA_ENCRYPTION_KEYS',
      'AUDIT_CHAIN_SECRET',
      'AUDIT_ANCHOR_SECRET',
    ],
    eddsa: { JWT_PRIVATE_KEYS: pem },
  },
  'chat-proxy': {
    read: readEnvironment,
    env: { ...common, ...mongo, ACCOUNTING_API_URL: 'http://accounting:3001' },
    secrets: users,
    eddsa: { JWT_JWKS_URL },
  },
  accounting: {
    read: readAccountingConfig,
    env: { ...common, DATABASE_URL: 'postgres://app@db.example.test/x', LEDGER_SIGNING_SECRET: secret() },
    secrets: [...users, 'LEDGER_SIGNING_SECRET'],
    eddsa: { JWT_JWKS_URL },
  },
};

const HOOKS: Readonly<Record<string, Env>> = {
  auth: { CLOCK_OFFSET_FILE: '/tmp/offset' },
  'chat-proxy': { CLOCK_OFFSET_FILE: '/tmp/offset', FAILPOINTS: '/tmp/failpoints' },
  accounting: { CLOCK_OFFSET_FILE: '/tmp/offset', FAILPOINTS: '/tmp/failpoints' },
};

function faultsOf({ read }: Service, env: Env): string[] {
  try {
    read(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ name }) => name);
    throw error;
  }
}

describe.each(Object.entries(SERVICES))('%s in production', (called, service) => {
  const { env, secrets, eddsa } = service;
  // Keys that serve two purposes would let one kind of token, or of stored digest, pass for the other.
  const pairs = secrets.flatMap((one, at) => secrets.slice(at + 1).map((other) => [one, other] as const));

  it('starts with good secrets', () => {
    expect(faultsOf(service, env)).toEqual([]);
  });

  it.each(Object.entries(HOOKS[called] ?? {}))('does not start with %s, which only tests use', (hook, value) => {
    expect(faultsOf(service, { ...env, [hook]: value })).toEqual([hook]);
    expect(faultsOf(service, { ...env, [hook]: '' })).toEqual([]);
  });

  it.each(secrets)('does not start when %s is missing, short or a sample', (name) => {
    for (const value of ['', secret().slice(0, 31), 'change-me-change-me-change-me-change-me', 'a'.repeat(40)]) {
      const spellings = name === 'TOKEN_HASH_SECRET' ? [value] : [value, `k2:${value}`];
      for (const text of spellings) expect(faultsOf(service, { ...env, [name]: text })).toEqual([name]);
    }
  });

  it.each(pairs)('does not start when %s and %s are equal, also as a former key', (one, other) => {
    expect(faultsOf(service, { ...env, [other]: env[one] ?? '' })).toEqual([other]);
    const [ring, single] = other === 'TOKEN_HASH_SECRET' ? [one, other] : [other, one];
    expect(faultsOf(service, { ...env, [ring]: `k2:${secret()},k1:${env[single]}` })).toEqual([other]);
  });

  it('starts with EdDSA keys instead of a shared secret, and not with both or neither', () => {
    const { JWT_ACCESS_SECRET: _secret, ...rest } = env;
    const keyName = Object.keys(eddsa)[0] ?? '';
    expect(faultsOf(service, { ...rest, ...eddsa, JWT_ALG: 'EdDSA' })).toEqual([]);
    expect(faultsOf(service, { ...rest, JWT_ALG: 'EdDSA' })).toEqual([keyName]);
    expect(faultsOf(service, { ...env, ...eddsa, JWT_ALG: 'EdDSA' })).toEqual(['JWT_ACCESS_SECRET']);
    expect(faultsOf(service, { ...env, ...eddsa })).toEqual([keyName]);
    expect(faultsOf(service, { ...rest, ...eddsa }).sort()).toEqual([keyName, 'JWT_ACCESS_SECRET'].sort());
    expect(faultsOf(service, { ...rest, ...eddsa, JWT_ALG: 'none' })).toContain('JWT_ALG');
  });
});

it('a private key is no public one, and the fault does not repeat it', () => {
  const { JWT_ACCESS_SECRET: _secret, ...env } = SERVICES['accounting']?.env ?? {};
  const read = () => readAccountingConfig({ ...env, JWT_ALG: 'EdDSA', JWT_PUBLIC_KEYS: pem });
  expect(read).toThrow(/JWT_PUBLIC_KEYS +holds a block that is no PUBLIC KEY/);
  expect(read).not.toThrow(pem.split('\n')[1]);
});
