import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { ConfigError } from '@tollgate/config';
import { readAuthConfig } from '../src/config.ts';
import { environment } from './auth.ts';

const mails = { smtpUrl: 'smtp://127.0.0.1:2525' };
const production = (): Record<string, string> => ({
  ...environment(mails),
  NODE_ENV: 'production',
  BCRYPT_COST: '12',
  RATE_LIMITS: 'true',
  MAIL_FROM: 'Tollgate <no-reply@example.test>',
});

const faultsOf = (env: Record<string, string>): string[] => {
  try {
    readAuthConfig(env);
    return [];
  } catch (error) {
    return error instanceof ConfigError ? error.faults.map(({ name }) => name) : [String(error)];
  }
};

describe('the configuration', () => {
  it('is refused in production with testing routes, without limits, with cheap hashes or a plain address', () => {
    expect(faultsOf(production())).toEqual([]);
    expect(faultsOf({ ...production(), ENABLE_TESTING_ROUTES: 'true' })).toEqual(['ENABLE_TESTING_ROUTES']);
    expect(faultsOf({ ...production(), RATE_LIMITS: 'false' })).toEqual(['RATE_LIMITS']);
    expect(faultsOf({ ...production(), BCRYPT_COST: '11' })).toEqual(['BCRYPT_COST']);
    expect(faultsOf({ ...production(), NODE_ENV: 'development', BCRYPT_COST: '9' })).toEqual(['BCRYPT_COST']);
    expect(faultsOf({ ...production(), PUBLIC_BASE_URL: 'http://chat.example.test' })).toEqual(['PUBLIC_BASE_URL']);
  });

  it('is refused without, with short, with sample and with equal secrets', () => {
    const names = [
      'JWT_ACCESS_SECRET',
      'JWT_REFRESH_SECRET',
      'PASSWORD_PEPPER',
      'TOKEN_HASH_SECRET',
      'MFA_ENCRYPTION_KEYS',
    ];
    for (const name of names) {
      for (const value of ['', 'short', 'change-me-change-me-change-me-change-me']) {
        expect(faultsOf({ ...production(), [name]: value })).toEqual([name]);
      }
    }
    const env = production();
    expect(faultsOf({ ...env, JWT_REFRESH_SECRET: env['JWT_ACCESS_SECRET'] ?? '' })).toContain('JWT_REFRESH_SECRET');
  });

  it('takes the other names of variables and a limit as "number/duration"', () => {
    const { MONGODB_URI, ALLOWED_ORIGINS: _origins, ...rest } = production();
    const config = readAuthConfig({
      ...rest,
      MONGO_URI: MONGODB_URI,
      CORS_ORIGIN: 'https://a.example.test/',
      LIMIT_LOG_IN_PER_IDENTIFIER: '7/1h',
    });
    expect(config.mongoUrl.reveal()).toBe(MONGODB_URI);
    expect(config.allowedOrigins).toEqual(['https://a.example.test']);
    expect(config.limits?.['log-in-per-identifier']).toEqual({ points: 7, windowSeconds: 3600 });
    expect(faultsOf({ ...production(), LIMIT_LOG_IN_PER_IDENTIFIER: 'many' })).toEqual(['LIMIT_LOG_IN_PER_IDENTIFIER']);
  });

  it('ends a production process with testing routes before it listens', async () => {
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
    const env: Record<string, string> = { ...production(), ENABLE_TESTING_ROUTES: 'true', PORT: '0' };
    const child = spawn(process.execPath, ['--conditions=tollgate', main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stdout.on('data', (text) => (said += text));
    child.stderr.on('data', (text) => (said += text));
    const [code] = await once(child, 'close');
    expect(code).not.toBe(0);
    expect(said).toContain('ENABLE_TESTING_ROUTES');
    expect(said).not.toContain('listening');
    expect(said).not.toContain(env['JWT_ACCESS_SECRET']);
  });
});
