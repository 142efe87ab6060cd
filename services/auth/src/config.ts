import {
  baseUrl,
  bool,
  distinctKeys,
  duration,
  type Environment,
  keyRing,
  mailVariables,
  mongoVariables,
  parseDuration,
  portVariable,
  readConfig,
  refusesTestHooks,
  serviceTokenVariables,
  serviceVariables,
  tracingConfig,
  signingVariables,
  signsWithOneAlgorithm,
  whole,
  workspaceVariables,
} from '@tollgate/config';
import { readPrivateKeys } from '@tollgate/jwt-claims/sign';
import { z } from 'zod';
import { accountVariables, readAccountRules } from './accounts-config.ts';
import { auditConfig, auditVariables } from './audit-config.ts';
import { keyConfig, keyVariables } from './keys-config.ts';

const MILLISECONDS = 1000;
/** Tests ask what is hashed and compared, not how long it takes. */
const LEAST_BCRYPT_COST = { production: 12, development: 10, test: 4 } as const;

/** What each limit counts, and its default: so many per so long. */
const DEFAULT_LIMITS = {
  'sign-up-per-address': ['60/1h', 'New accounts'],
  'sign-up-per-recipient': ['10/1h', 'New accounts with one e-mail address,'],
  'log-in-per-address': ['300/15m', 'Logins'],
  'log-in-per-identifier': ['5/15m', 'Wrong passwords'],
  'log-in-per-device': ['5/15m', 'Wrong passwords from a device that its owner has used before,'],
  'log-in-failures-per-owner': ['20/15m', 'Wrong passwords from all devices that their owner has used before,'],
  'log-in-failures-per-network': ['100/15m', 'Wrong passwords, whosever,'],
  'second-factor-per-user': ['10/15m', 'Wrong codes of second factors'],
  'refresh-per-address': ['1200/15m', 'Refreshes'],
  'mail-per-address': ['60/1h', 'Requests for a mail'],
  'mail-per-recipient': ['5/1h', 'Requested mails'],
  'verify-per-address': ['60/15m', 'Verification codes'],
  'verify-per-account': ['5/15m', 'Wrong verification codes'],
  'verify-misses': ['200/15m', 'Wrong verification codes without an e-mail address, of everybody together'],
  'reset-per-address': ['60/15m', 'Reset tokens'],
  'password-per-user': ['5/15m', 'Wrong current passwords'],
  'rename-per-user': ['20/1h', 'User names tried for the own account'],
  'workspaces-per-user': ['20/1d', 'New workspaces'],
  'invite-per-user': ['200/1d', 'Invitations to workspaces'],
  'invite-per-recipient': ['10/1d', 'Invitations to an address'],
  'access-changes-per-user': ['300/1h', 'Switches of workspace, and changes of API keys and of roles of members,'],
  'join-per-user': ['60/15m', 'Accepted or refused invitations'],
} as const;
type LimitName = keyof typeof DEFAULT_LIMITS;
const LIMITS = Object.keys(DEFAULT_LIMITS) as LimitName[]; // they are its keys

type VariableName = `LIMIT_${string}`;
const variableOf = (name: LimitName): VariableName => `LIMIT_${name.toUpperCase().replaceAll('-', '_')}`;

type LimitRule = { points: number; windowSeconds: number };

const Rule = z.string().transform((text, context) => {
  const [, points, span] = /^(\d{1,9})\/(\w{1,12})$/.exec(text) ?? [];
  const windowMs = span === undefined ? Number.NaN : durationOf(span);
  if (!(Number(points) > 0 && windowMs >= 1000)) {
    context.addIssue({ code: 'custom', message: 'must be a number and a duration, such as 5/15m' });
    return z.NEVER;
  }
  return { points: Number(points), windowSeconds: Math.ceil(windowMs / 1000) };
});

function durationOf(text: string): number {
  try {
    return parseDuration(text);
  } catch {
    return Number.NaN;
  }
}

const described = (name: LimitName) => {
  const [rule, counts] = DEFAULT_LIMITS[name];
  const per = name.includes('-per-') ? ` per ${name.slice(name.indexOf('-per-') + '-per-'.length)}` : '';
  return Rule.prefault(rule).describe(`${counts}${per}`);
};

/** One variable per limit: `LIMIT_LOG_IN_PER_IDENTIFIER=5/15m`. */
const limitVariables: Readonly<Record<VariableName, ReturnType<typeof described>>> = Object.fromEntries(
  LIMITS.map((name) => [variableOf(name), described(name)]),
);

/** Every variable of the auth service. */
export const AuthEnvironment = z
  .object({
    ...serviceVariables,
    ...portVariable(3000),
    ...mongoVariables({ connections: 20 }),
    ...serviceTokenVariables,

    ...signingVariables(readPrivateKeys),
    JWT_REFRESH_SECRET: keyRing().describe('Keys of refresh tokens, current one first; of this service alone'),
    ACCESS_TOKEN_TTL: duration({ min: '1m', max: '1h' }).prefault('15m').describe('Life of an access token'),
    REFRESH_IDLE_TTL: duration({ min: '1m', max: '365d' })
      .prefault('7d')
      .describe('A session that is not refreshed for so long ends'),
    SESSION_IDLE: duration({ min: '1m', max: '365d' })
      .prefault('60m')
      .describe('The same for sessions of browsers, with cookies'),
    ADMIN_SESSION_IDLE: duration({ min: '1m', max: '7d' })
      .prefault('15m')
      .describe('The same for sessions of administrators; their access tokens live a third of it'),
    REFRESH_ABSOLUTE_TTL: duration({ min: '1m', max: '365d' }).prefault('30d').describe('Longest life of a session'),
    REFRESH_GRACE: duration({ max: '60s' }).prefault('10s').describe('Time in which a refresh may be repeated'),
    ...workspaceVariables,
    WORKSPACE_CREATION: z
      .enum(['admins', 'everyone'])
      .prefault('admins')
      .describe('Who may found workspaces; who leads one is a supervisor only where an administrator has founded it'),

    PASSWORD_PEPPER: keyRing().describe('Keys of password digests, current one first'),
    TOKEN_HASH_SECRET: keyRing().describe(
      'Keys of the stored hashes of mailed codes and backup codes, current one first; what a key has made ends with it',
    ),
    BCRYPT_COST: whole({ min: LEAST_BCRYPT_COST.test, max: 15 })
      .prefault('12')
      .describe('Work per password hash; at least 12 in production'),
    ...accountVariables,
    PASSWORD_WORKERS: whole({ max: 64 }).prefault('0').describe('Threads that hash passwords; 0: processors less one'),

    PUBLIC_BASE_URL: baseUrl().prefault('http://localhost:3000').describe('Where links in mails lead'),
    ...mailVariables,
    MAIL_POLL: duration({ min: '1s', max: '10m' })
      .prefault('5s')
      .describe('How often the mail queue is looked at when idle'),
    MAIL_LEASE: duration({ min: '60s', max: '1h' }).prefault('2m').describe('How long a process may take for one mail'),
    MAIL_RETRY_FIRST: duration({ min: '1s', max: '1h' })
      .prefault('5s')
      .describe('Pause after a first failed delivery; doubles each time'),
    MAIL_RETRY_LONGEST: duration({ min: '1s', max: '24h' }).prefault('30m').describe('Longest pause between two tries'),
    MAIL_GIVE_UP: duration({ min: '1m', max: '30d' })
      .prefault('24h')
      .describe('A mail that cannot be delivered for so long is dropped'),
    VERIFICATION_TTL: duration({ min: '1m', max: '30d' }).prefault('24h').describe('Life of a verification code'),
    EMAIL_CHANGE_TTL: duration({ min: '1m', max: '30d' })
      .prefault('24h')
      .describe('Life of the confirmation of a new address'),
    PASSWORD_RESET_TTL: duration({ min: '1m', max: '1h' }).prefault('15m').describe('Life of a reset token'),
    INVITATION_TTL: duration({ min: '1m', max: '90d' }).prefault('7d').describe('Life of an invitation to a workspace'),
    WELCOME_TTL: duration({ min: '1m', max: '30d' })
      .prefault('3d')
      .describe('Life of the link to choose a first password'),
    UNVERIFIED_TTL: duration({ min: '1h', max: '365d' })
      .prefault('7d')
      .describe('An account not verified for so long gives its name free'),

    ...auditVariables,
    ...keyVariables,

    ENABLE_TESTING_ROUTES: bool().prefault('false').describe('Mounts /api/testing; refused in production'),
    RATE_LIMITS: bool().prefault('true').describe('Whether limits apply; required in production'),
    ...limitVariables,
  })
  .refine((env) => !(env.NODE_ENV === 'production' && env.ENABLE_TESTING_ROUTES), {
    path: ['ENABLE_TESTING_ROUTES'],
    error: 'is refused in production: it hands out verification codes',
  })
  .refine((env) => env.NODE_ENV !== 'production' || env.RATE_LIMITS, {
    path: ['RATE_LIMITS'],
    error: 'cannot be switched off in production',
  })
  .refine((env) => env.BCRYPT_COST >= LEAST_BCRYPT_COST[env.NODE_ENV], {
    path: ['BCRYPT_COST'],
    error: `must be at least ${LEAST_BCRYPT_COST.development}, and ${LEAST_BCRYPT_COST.production} in production`,
  })
  .refine((env) => env.NODE_ENV !== 'production' || env.PUBLIC_BASE_URL.startsWith('https://'), {
    path: ['PUBLIC_BASE_URL'],
    error: 'must be an https address in production',
  })
  .refine((env) => env.NODE_ENV !== 'production' || !env.MAIL_FROM.includes('@localhost'), {
    path: ['MAIL_FROM'],
    error: 'must be an address of yours in production',
  })
  .refine((env) => env.API_KEY_TTL <= env.API_KEY_LONGEST_TTL, {
    path: ['API_KEY_TTL'],
    error: 'must not be longer than API_KEY_LONGEST_TTL',
  })
  .superRefine(signsWithOneAlgorithm)
  .refine((env) => env.REFRESH_IDLE_TTL <= env.REFRESH_ABSOLUTE_TTL, {
    path: ['REFRESH_IDLE_TTL'],
    error: 'must not be longer than REFRESH_ABSOLUTE_TTL',
  })
  .superRefine(refusesTestHooks)
  .superRefine(
    distinctKeys([
      'JWT_ACCESS_SECRET',
      'JWT_SERVICE_SECRET',
      'JWT_REFRESH_SECRET',
      'PASSWORD_PEPPER',
      'TOKEN_HASH_SECRET',
      'MFA_ENCRYPTION_KEYS',
      'AUDIT_CHAIN_SECRET',
      'AUDIT_ANCHOR_SECRET',
    ]),
  );

export type Config = ReturnType<typeof readAuthConfig>;

/**
 * The configuration of the auth service out of the environment.
 * @throws ConfigError with every fault.
 */
export function readAuthConfig(env: Environment = process.env) {
  const read = readConfig(AuthEnvironment, env);
  const isProduction = read.NODE_ENV === 'production';
  return {
    isProduction,
    listen: { host: read.HOST, port: read.PORT },
    logLevel: read.LOG_LEVEL,
    clockOffsetFile: read.CLOCK_OFFSET_FILE,
    mongoUrl: read.MONGODB_URI,
    mongo: { poolSize: read.MONGO_POOL_SIZE, operationTimeoutMs: read.MONGO_OPERATION_TIMEOUT },
    migrateOnStart: read.MIGRATE_ON_START,
    tokens: {
      accessKeys: accessKeys(read),
      refreshKeys: read.JWT_REFRESH_SECRET,
      serviceKeys: read.JWT_SERVICE_SECRET,
      issuer: read.JWT_ISSUER,
      extraAudiences: read.JWT_EXTRA_AUDIENCES,
      profile: read.JWT_CLAIMS_PROFILE,
      accessSeconds: read.ACCESS_TOKEN_TTL,
      refreshSeconds: read.REFRESH_IDLE_TTL,
      workspaceId: read.DEFAULT_WORKSPACE_ID,
    },
    sessions: {
      idleMs: read.REFRESH_IDLE_TTL * MILLISECONDS,
      cookieIdleMs: read.SESSION_IDLE * MILLISECONDS,
      adminIdleMs: read.ADMIN_SESSION_IDLE * MILLISECONDS,
      accessMs: read.ACCESS_TOKEN_TTL * MILLISECONDS,
      absoluteMs: read.REFRESH_ABSOLUTE_TTL * MILLISECONDS,
      graceMs: read.REFRESH_GRACE * MILLISECONDS,
    },
    passwords: {
      peppers: read.PASSWORD_PEPPER,
      cost: read.BCRYPT_COST,
      threads: read.PASSWORD_WORKERS,
    },
    ...readAccountRules(read),
    mail: {
      url: read.SMTP_URL,
      from: read.MAIL_FROM,
      publicBaseUrl: read.PUBLIC_BASE_URL,
      pollMs: read.MAIL_POLL * MILLISECONDS,
      times: {
        leaseMs: read.MAIL_LEASE * MILLISECONDS,
        firstRetryMs: read.MAIL_RETRY_FIRST * MILLISECONDS,
        lastRetryMs: read.MAIL_RETRY_LONGEST * MILLISECONDS,
        giveUpMs: read.MAIL_GIVE_UP * MILLISECONDS,
      },
    },
    tokenHashKeys: read.TOKEN_HASH_SECRET,
    codeLives: {
      'verify-email': read.VERIFICATION_TTL * MILLISECONDS,
      'change-email': read.EMAIL_CHANGE_TTL * MILLISECONDS,
      'reset-password': read.PASSWORD_RESET_TTL * MILLISECONDS,
      welcome: read.WELCOME_TTL * MILLISECONDS,
      invitation: read.INVITATION_TTL * MILLISECONDS,
    },
    ...auditConfig(read),
    ...keyConfig(read),
    workspaceCreation: read.WORKSPACE_CREATION,
    abandonMs: read.UNVERIFIED_TTL * MILLISECONDS,
    allowedOrigins: read.ALLOWED_ORIGINS,
    trustProxyHops: read.TRUST_PROXY_HOPS,
    metricsTokens: read.METRICS_TOKEN,
    shutdown: { acceptMs: read.SHUTDOWN_ACCEPT, drainMs: read.SHUTDOWN_DRAIN, closeMs: read.SHUTDOWN_CLOSE },
    tracing: tracingConfig(read),
    hasTestingRoutes: read.ENABLE_TESTING_ROUTES,
    limits: limitRules(read),
  };
}

/** What access tokens are signed with; the rules let exactly one of the two through. */
function accessKeys({ JWT_PRIVATE_KEYS, JWT_ACCESS_SECRET }: z.output<typeof AuthEnvironment>) {
  const keys = JWT_PRIVATE_KEYS ?? JWT_ACCESS_SECRET;
  if (!keys) throw new TypeError('there are no keys of access tokens');
  return keys;
}

/** The limits of a configuration; undefined when they are switched off. */
function limitRules(
  read: Readonly<Record<VariableName, LimitRule>> & { RATE_LIMITS: boolean },
): Record<LimitName, LimitRule> | undefined {
  if (!read.RATE_LIMITS) return undefined;
  return Object.fromEntries(LIMITS.map((name) => [name, read[variableOf(name)]])) as Record<LimitName, LimitRule>; // one entry for each
}
