import { z } from 'zod';
import { testVariables } from './test-variables.ts';
import { accessTokenVariables } from './token-variables.ts';
import { tracingVariables } from './tracing-variables.ts';
import { alias, bool, databaseUrl, durationMs, keyRing, list, port, whole } from './variables.ts';

/** A web page's origin, such as `https://chat.example.org`; a path is dropped. */
const Origin = z.url({ protocol: /^https?$/ }).transform((url) => new URL(url).origin);

/** The variables that mean the same in every service; one `.env` may feed them all. */
export const serviceVariables = {
  NODE_ENV: z
    .enum(['development', 'test', 'production'])
    .prefault('development')
    .describe('production refuses weak settings and sends HSTS'),
  HOST: z.string().max(255).prefault('127.0.0.1').describe('Address to listen on'),
  LOG_LEVEL: z
    .enum(['silent', 'error', 'warn', 'info', 'debug'])
    .prefault('info')
    .describe('The least important level that is logged'),
  ALLOWED_ORIGINS: alias(list(Origin), ['CORS_ORIGIN', 'CORS_ORIGINS'])
    .prefault('')
    .describe('Origins of browser pages that may call, between commas'),
  TRUST_PROXY_HOPS: alias(whole({ max: 10 }), ['TRUST_PROXY'])
    .prefault('0')
    .describe('How many reverse proxies stand before the service'),
  METRICS_TOKEN: keyRing()
    .optional()
    .describe(
      'Bearer token for /metrics from outside, or several between commas; without it only private addresses read it',
    ),
  ...tracingVariables,
  MIGRATE_ON_START: bool()
    .prefault('false')
    .describe('Whether a service brings its database to the newest schema at start'),
  ...accessTokenVariables,
  JWT_ISSUER: z
    .string()
    .min(1)
    .max(254)
    .prefault('tollgate')
    .describe('Issuer named in tokens; the same in all services'),
  JWT_CLAIMS_PROFILE: z
    .enum(['strict', 'compatible'])
    .prefault('strict')
    .describe('compatible also takes tokens without jti, iss and aud'),
  SHUTDOWN_ACCEPT: durationMs({ max: '60s' })
    .prefault('5s')
    .describe('How long requests are still taken after the signal to stop'),
  SHUTDOWN_DRAIN: durationMs({ max: '10m' }).prefault('30s').describe('How long running requests may go on then'),
  SHUTDOWN_CLOSE: durationMs({ min: '1s', max: '5m' })
    .prefault('8s')
    .describe('How long answers that were told to end may take to be settled after that, and everything to close'),
  ...testVariables,
};

/** For services that call each other. */
export const serviceTokenVariables = {
  JWT_SERVICE_SECRET: keyRing().describe('Keys of the tokens services show each other, the current one first'),
};

/** For services that tell workspaces apart. */
export const workspaceVariables = {
  DEFAULT_WORKSPACE_ID: z
    .string()
    .regex(/^[0-9a-zA-Z-]{1,64}$/, 'must be 1 to 64 letters, digits or dashes')
    .prefault('default')
    .describe('The workspace that everybody belongs to; the same in all services'),
};

/** For services that ask auth about API keys. */
export const keyCacheVariables = {
  KEY_CACHE: durationMs({ max: '30s' })
    .prefault('30s')
    .describe('How long what auth said of an API key is believed, unless it is revoked'),
};

/** For services whose store is MongoDB. */
export const mongoVariables = ({ connections }: { connections: number }) => ({
  MONGODB_URI: alias(databaseUrl(['mongodb:', 'mongodb+srv:']), ['MONGO_URI', 'MONGODB_URL']).describe(
    'The MongoDB database of the service, with its name',
  ),
  MONGO_POOL_SIZE: whole({ min: 1, max: 1000 }).default(connections).describe('Connections to the database'),
  MONGO_OPERATION_TIMEOUT: durationMs({ min: '50ms', max: '60s' })
    .prefault('3s')
    .describe('Longest wait for one database operation'),
});

/** The port a service listens on; each has a standard one. */
export const portVariable = (standard: number) => ({
  PORT: port().prefault(String(standard)).describe('Port to listen on; 0 lets the system choose'),
});
