import { once } from 'node:events';
import type { Server } from 'node:http';
import { randomBytes, randomUUID } from 'node:crypto';
import { createHttpServer, type RateLimiter, requestContext } from '@tollgate/http-kit';
import { createLogger } from '@tollgate/telemetry';
import { type Clock, type Mail, type SmtpSink, startSmtpSink } from '@tollgate/test-kit';
import { type Db, MongoClient } from 'mongodb';
import { buildApp } from '../src/app.ts';
import { readAuthConfig } from '../src/config.ts';
import { createDeps, type Deps } from '../src/deps.ts';
import { migrate } from '../src/migrate.ts';

/** The fields that tests look at; which ones an answer really has is what the tests say. */
type Body = {
  message: string;
  error: string;
  detail: string;
  code: string;
  status: number;
  accessToken: string;
  refreshToken: string;
  token: string;
  userId: string;
  user: Record<string, unknown>;
  users: { _id: string }[];
  nextCursor: string | null;
  results: { success: boolean }[];
  summary: object;
  generatedPassword: string;
  mfaRequired: boolean;
  challenge: string;
  secret: string;
  otpauthUri: string;
  qrCode: string;
  backupCodes: string[];
};
export type Answer = { status: number; body: Body; headers: Headers; text: string };
type CallOptions = { body?: unknown; raw?: string; token?: string; headers?: Record<string, string> };
export type Person = { userId: string; username: string; email: string; password: string };
export type LoggedIn = Person & { accessToken: string; refreshToken: string };

export const PASSWORD = 'a-long-walk-in-the-rain';

const silent = () => createLogger({ service: 'auth', level: 'silent' });
const logging = (destination: NodeJS.WritableStream) =>
  createLogger({ service: 'auth', level: 'debug', destination, context: requestContext.fields });
const secret = () => randomBytes(36).toString('base64url');

type StopOptions = { keepDatabase?: boolean };
type AuthOptions = {
  env?: Record<string, string>;
  clock?: Clock;
  smtpUrl?: string;
  logs?: NodeJS.WritableStream;
  callsPerService?: RateLimiter;
};

/** The auth service over HTTP, with a database and a mail sink of its own. */
export class Auth {
  readonly url: string;
  readonly mails: SmtpSink;
  readonly db: Db;
  readonly env: Record<string, string>;
  /** As the seed of an installation does. */
  readonly ensureUser: Deps['flows']['ensureUser'];
  readonly #end: (options: StopOptions) => Promise<void>;

  private constructor(
    url: string,
    parts: Pick<Auth, 'mails' | 'db' | 'env' | 'ensureUser'> & { end: (options: StopOptions) => Promise<void> },
  ) {
    this.url = url;
    this.mails = parts.mails;
    this.db = parts.db;
    this.env = parts.env;
    this.ensureUser = parts.ensureUser;
    this.#end = parts.end;
  }

  static async start({ env: extra = {}, clock, smtpUrl, logs, callsPerService }: AuthOptions = {}): Promise<Auth> {
    const mails = await startSmtpSink({});
    const env = { ...environment(mails, smtpUrl), ...extra };
    const config = readAuthConfig(env);
    await migrate(config);
    const deps = await createDeps(config, { logger: logs ? logging(logs) : silent(), ...(clock && { clock }) });
    await deps.start();
    const server = createHttpServer(buildApp({ ...deps, ...(callsPerService && { callsPerService }) }).app, {
      production: false,
    });
    const url = await listen(server);
    const client = await MongoClient.connect(env['MONGODB_URI'] ?? '');
    const end = async ({ keepDatabase = false }: StopOptions) => {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
      await deps.close();
      if (!keepDatabase) await client.db().dropDatabase();
      await Promise.all([client.close(), mails.stop()]);
    };
    return new Auth(url, { mails, db: client.db(), env, ensureUser: deps.flows.ensureUser, end });
  }

  async call(method: string, path: string, { body, raw, token, headers }: CallOptions = {}): Promise<Answer> {
    const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(content !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(content !== undefined && { body: content }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: JSON.parse(text.startsWith('{') ? text : '{}') as Body,
      headers: response.headers,
      text,
    };
  }

  post(path: string, body?: unknown, options: CallOptions = {}): Promise<Answer> {
    return this.call('POST', path, { ...(body !== undefined && { body }), ...options });
  }

  signUp(person: { username: string; email: string; password: string }): Promise<Answer> {
    const { username, email, password } = person;
    return this.post('/api/auth/signup', { username, email, password });
  }

  logIn(username: string, password: string): Promise<Answer> {
    return this.post('/api/auth/login', { username, password });
  }

  /** Somebody who signed up and proved their address with the mailed code. */
  async member(name = 'alice'): Promise<Person> {
    const person = newPerson(name);
    const { body } = await this.signUp(person);
    const code = codeIn(await this.mails.waitForMail(person.email));
    await this.post('/api/auth/verify-email', { token: code });
    return { ...person, userId: body.userId };
  }

  async loggedIn(name = 'alice'): Promise<LoggedIn> {
    return this.session(await this.member(name));
  }

  async session(person: Person): Promise<LoggedIn> {
    const { status, body } = await this.logIn(person.username, person.password);
    if (status !== 200) throw new Error(`login of ${person.username} answered ${status}: ${JSON.stringify(body)}`);
    return { ...person, accessToken: body.accessToken, refreshToken: body.refreshToken };
  }

  /** An administrator as the seed of an installation makes one. */
  async admin(name = 'root'): Promise<LoggedIn> {
    const person = newPerson(name);
    const { userId } = await this.ensureUser({ ...person, role: 'admin' });
    return this.session({ ...person, userId });
  }

  refresh(refreshToken: string): Promise<Answer> {
    return this.post('/api/auth/refresh', { refreshToken });
  }

  profile(token: string): Promise<Answer> {
    return this.call('GET', '/api/profile', { token });
  }

  auditOf(action: string): Promise<Record<string, unknown>[]> {
    return this.db.collection('audit_log').find({ action }).toArray();
  }

  stop(options: StopOptions = {}): Promise<void> {
    return this.#end(options);
  }
}

export function newPerson(name: string): Person {
  const username = `${name}-${randomUUID().slice(0, 8)}`;
  return { userId: '', username, email: `${username}@example.test`, password: PASSWORD };
}

/** Generous limits: tests of one file share an address. Tests of the limits set their own. */
export function environment(mails: Pick<SmtpSink, 'smtpUrl'>, smtpUrl = mails.smtpUrl): Record<string, string> {
  const database = new URL(process.env['TEST_MONGO_URL'] ?? '');
  database.pathname = `/t_${randomUUID().replaceAll('-', '')}`;
  return {
    NODE_ENV: 'test',
    MONGODB_URI: database.href,
    SMTP_URL: smtpUrl,
    PUBLIC_BASE_URL: 'https://chat.example.test',
    JWT_ACCESS_SECRET: secret(),
    JWT_REFRESH_SECRET: secret(),
    JWT_SERVICE_SECRET: secret(),
    PASSWORD_PEPPER: secret(),
    TOKEN_HASH_SECRET: secret(),
    MFA_ENCRYPTION_KEYS: secret(),
    AUDIT_CHAIN_SECRET: `c1:${secret()}`,
    AUDIT_ANCHOR_SECRET: `a1:${secret()}`,
    BCRYPT_COST: '4',
    RATE_LIMITS: 'false',
    MAIL_POLL: '1s',
    // No test depends on how fast the database is.
    MONGO_OPERATION_TIMEOUT: '30s',
    ALLOWED_ORIGINS: 'https://chat.example.test',
  };
}

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('no address');
  return `http://127.0.0.1:${address.port}`;
}

export const codeIn = (mail: Mail): string => found(/verification code: ([0-9a-f]{6})\b/, mail);
export const tokenIn = (mail: Mail): string => found(/token: ([0-9a-f]{64})\b/, mail);

function found(pattern: RegExp, mail: Mail): string {
  const secretText = pattern.exec(mail.text)?.[1];
  if (secretText === undefined) throw new Error(`no secret in "${mail.subject}": ${mail.text}`);
  return secretText;
}

export const statuses = (answers: readonly Answer[]): Record<number, number> => {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

export const times = <T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)));
