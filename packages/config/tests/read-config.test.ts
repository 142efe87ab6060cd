import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import {
  alias,
  baseUrl,
  bool,
  ConfigError,
  databaseUrl,
  describeConfig,
  duration,
  type Environment,
  keyRing,
  list,
  port,
  readConfig,
  type ReadOptions,
  secret,
} from '../src/index.ts';

const schema = z
  .object({
    NODE_ENV: z
      .enum(['development', 'test', 'production'])
      .default('development')
      .describe('What this process is for.'),
    PORT: port().default(3000).describe('Where the service listens.'),
    MONGODB_URI: alias(databaseUrl(['mongodb:']), ['MONGO_URI', 'MONGODB_URL']).describe(
      'The database of this service.',
    ),
    JWT_ACCESS_SECRET: keyRing().describe('Signs access tokens.'),
    JWT_REFRESH_SECRET: secret().describe('Signs refresh tokens.'),
    ACCESS_TOKEN_TTL: duration().prefault('15m').describe('Life of an access token.'),
    ACCOUNTING_API_URL: baseUrl().describe('The accounting service.'),
    CORS_ORIGINS: list(baseUrl()).default([]).describe('Origins that may call with credentials.'),
    ENABLE_TESTING_ROUTES: bool().default(false).describe('Mounts the testing helpers.'),
    SMTP_PASSWORD: secret({ minBytes: 1 }).optional(),
  })
  .refine((env) => !(env.NODE_ENV === 'production' && env.ENABLE_TESTING_ROUTES), {
    path: ['ENABLE_TESTING_ROUTES'],
    message: 'must not be on in production',
  })
  .refine((env) => env.ACCESS_TOKEN_TTL < 3600 || env.PORT === 1, {
    path: ['ACCESS_TOKEN_TTL'],
    message: 'must be under an hour',
  });

const [access, refresh] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
const sound = {
  MONGODB_URI: 'mongodb://alice:canary-password@db/auth',
  JWT_ACCESS_SECRET: access,
  JWT_REFRESH_SECRET: refresh,
  ACCOUNTING_API_URL: 'http://accounting:3001/api/',
};

function faultsOf(env: Environment, options?: ReadOptions): Record<string, string> {
  try {
    readConfig(schema, env, options);
  } catch (error) {
    if (error instanceof ConfigError)
      return Object.fromEntries(error.faults.map(({ name, message }) => [name, message]));
    throw error;
  }
  return {};
}

describe('reading a configuration', () => {
  it('gives typed values and defaults', () => {
    const config = readConfig(schema, { ...sound, CORS_ORIGINS: 'http://a.example.test/' });
    expect(config).toMatchObject({
      PORT: 3000,
      ACCESS_TOKEN_TTL: 900,
      ACCOUNTING_API_URL: 'http://accounting:3001',
      CORS_ORIGINS: ['http://a.example.test'],
      ENABLE_TESTING_ROUTES: false,
    });
    expect(config.SMTP_PASSWORD).toBeUndefined();
    expect(config.JWT_REFRESH_SECRET.reveal()).toBe(refresh);
  });

  it('prints without a single secret', () => {
    const printed = JSON.stringify(readConfig(schema, sound));
    for (const canary of [access, refresh, 'canary-password']) expect(printed).not.toContain(canary);
  });

  it('reports every fault at once, each under its variable, with the sentence of what is missing', () => {
    const env = {
      ...sound,
      PORT: 'x',
      JWT_REFRESH_SECRET: 'changeme',
      ACCOUNTING_API_URL: undefined,
      NODE_ENV: 'prod',
    };
    expect(faultsOf(env)).toEqual({
      NODE_ENV: expect.stringContaining('"production"'),
      PORT: 'must be a whole number from 0 to 65535',
      JWT_REFRESH_SECRET: 'has 8 bytes but needs at least 32',
      ACCOUNTING_API_URL: 'is required: The accounting service.',
    });
  });

  it('has one readable line per fault', () => {
    const message = [
      'The configuration has 2 faults:',
      '  PORT         must be a whole number from 0 to 65535',
      '  MONGODB_URI  is required: The database of this service.',
    ].join('\n');
    expect(() => readConfig(schema, { ...sound, PORT: '-1', MONGODB_URI: '' })).toThrow(
      expect.objectContaining({ message }),
    );
    expect(() => readConfig(schema, { ...sound, PORT: '-1' })).toThrow(
      /^The configuration has one fault:\n {2}PORT {2}must/,
    );
  });

  it('judges the rules between variables in the same run, as far as their variables are sound', () => {
    const contradictory = { ...sound, NODE_ENV: 'production', ENABLE_TESTING_ROUTES: 'true', ACCESS_TOKEN_TTL: '2h' };
    expect(Object.keys(faultsOf(contradictory))).toEqual(['ENABLE_TESTING_ROUTES', 'ACCESS_TOKEN_TTL']);
    expect(Object.keys(faultsOf({ ...contradictory, PORT: 'x' }))).toEqual(['PORT', 'ENABLE_TESTING_ROUTES']);
  });

  it('never repeats the value of a secret, even when a rule does', () => {
    const careless = z.object({ KEY: secret() }).refine(() => false, { path: ['KEY'], message: `bad key ${access}` });
    expect(() => readConfig(careless, { KEY: access })).toThrow('bad key [secret]');
    const weak = { ...sound, JWT_ACCESS_SECRET: `k1:${access},k1:${refresh}`, JWT_REFRESH_SECRET: `${access} ` };
    const message = JSON.stringify(faultsOf(weak));
    expect(Object.keys(faultsOf(weak))).toEqual(['JWT_ACCESS_SECRET', 'JWT_REFRESH_SECRET']);
    for (const canary of [access, refresh]) expect(message).not.toContain(canary);
  });
});

describe('names', () => {
  const { MONGODB_URI: uri, ...rest } = sound;

  it.each(['MONGODB_URI', 'MONGO_URI', 'MONGODB_URL'])('takes the database address from %s', (name) => {
    expect(readConfig(schema, { ...rest, [name]: uri }).MONGODB_URI.reveal()).toBe(uri);
  });

  it('accepts two names that agree and refuses two that do not', () => {
    expect(faultsOf({ ...rest, MONGODB_URI: uri, MONGO_URI: uri })).toEqual({});
    expect(faultsOf({ ...rest, MONGODB_URI: uri, MONGO_URI: 'mongodb://other/x' })).toEqual({
      MONGODB_URI: 'is given twice: MONGODB_URI and MONGO_URI',
    });
  });

  it('takes an empty variable as not set', () => {
    expect(readConfig(schema, { ...sound, PORT: '', SMTP_PASSWORD: '' })).toMatchObject({ PORT: 3000 });
  });
});

describe('variables from files', () => {
  const { JWT_REFRESH_SECRET: _, ...rest } = sound;
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tollgate-config-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function fileWith(text: string): Promise<string> {
    const path = join(folder, randomBytes(6).toString('hex'));
    await writeFile(path, text);
    return path;
  }

  it.each(['', '\n', '\r\n'])('reads NAME_FILE and drops its one final newline (%j)', async (end) => {
    const path = await fileWith(refresh + end);
    expect(readConfig(schema, { ...rest, JWT_REFRESH_SECRET_FILE: path }).JWT_REFRESH_SECRET.reveal()).toBe(refresh);
  });

  it('reads the file of an alias', async () => {
    const { MONGODB_URI: uri, ...others } = sound;
    expect(readConfig(schema, { ...others, MONGO_URI_FILE: await fileWith(uri) }).MONGODB_URI.reveal()).toBe(uri);
  });

  it('refuses NAME together with NAME_FILE', async () => {
    expect(faultsOf({ ...sound, JWT_REFRESH_SECRET_FILE: await fileWith(refresh) })).toEqual({
      JWT_REFRESH_SECRET: 'is given twice: JWT_REFRESH_SECRET and JWT_REFRESH_SECRET_FILE',
    });
  });

  it('reports a file that is missing, empty or huge without naming its path, along with the other faults', async () => {
    const env = { ...rest, PORT: 'x' };
    expect(faultsOf({ ...env, JWT_REFRESH_SECRET_FILE: join(folder, 'none') })).toEqual({
      PORT: expect.any(String),
      JWT_REFRESH_SECRET: 'JWT_REFRESH_SECRET_FILE names a file that cannot be read (ENOENT)',
    });
    expect(faultsOf({ ...env, JWT_REFRESH_SECRET_FILE: await fileWith('\n') })).toMatchObject({
      JWT_REFRESH_SECRET: 'JWT_REFRESH_SECRET_FILE names an empty file',
    });
    expect(faultsOf({ ...env, JWT_REFRESH_SECRET_FILE: await fileWith('x'.repeat(70_000)) })).toMatchObject({
      JWT_REFRESH_SECRET: expect.stringContaining('EFBIG'),
    });
  });

  it('leaves a declared variable whose own name ends in _FILE alone', () => {
    const own = z.object({ LOG: z.string().optional(), LOG_FILE: z.string() });
    expect(readConfig(own, { LOG_FILE: 'out.log' })).toEqual({ LOG_FILE: 'out.log' });
  });
});

describe('describing a configuration', () => {
  it('lists names, aliases, defaults and sentences, and never a default of a secret', () => {
    const rows = new Map(describeConfig(schema).map((row) => [row.name, row]));
    expect([...rows.keys()]).toEqual(Object.keys(schema.shape));
    expect(rows.get('MONGODB_URI')).toEqual({
      name: 'MONGODB_URI',
      aliases: ['MONGO_URI', 'MONGODB_URL'],
      required: true,
      secret: true,
      text: 'The database of this service.',
    });
    expect(rows.get('PORT')).toMatchObject({ required: false, default: '3000', secret: false });
    expect(rows.get('ACCESS_TOKEN_TTL')).toMatchObject({ required: false, default: '15m' });
    expect(rows.get('JWT_ACCESS_SECRET')).toMatchObject({ required: true, secret: true });
    expect(rows.get('SMTP_PASSWORD')).toMatchObject({ required: false, secret: true, text: '' });
  });

  it('finds the sentence and the aliases on whichever side of the default they are given', () => {
    const either = z.object({
      A: z
        .string()
        .describe('before')
        .meta({ aliases: ['A1'] })
        .default('a'),
      B: alias(z.string().default('b').describe('after'), ['B1']),
      C: z.string().describe('inner').optional().describe('outer'),
    });
    expect(describeConfig(either)).toEqual([
      { name: 'A', aliases: ['A1'], required: false, default: 'a', secret: false, text: 'before' },
      { name: 'B', aliases: ['B1'], required: false, default: 'b', secret: false, text: 'after' },
      { name: 'C', aliases: [], required: false, secret: false, text: 'outer' },
    ]);
  });
});
