import type { Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Role } from '@tollgate/contracts';
import { type Dispatcher, request } from 'undici';
import { createExpressApp } from '../src/express.ts';
import { createFastifyApp } from '../src/fastify.ts';
import {
  type AuthenticatorOptions,
  createAuthenticator,
  createHealth,
  createHttpServer,
  type Logger,
  type ObserveRequest,
  type ServiceOptions,
} from '../src/index.ts';

export const alice = 'a'.repeat(24);
export const bob = 'b'.repeat(24);

export const ADAPTERS = [
  ['Express', async (options: ServiceOptions) => createHttpServer(createExpressApp(options), options)],
  [
    'Fastify',
    async (options: ServiceOptions) => {
      const app = await createFastifyApp(options);
      await app.ready();
      return app.server;
    },
  ],
] as const;
export type Adapter = (typeof ADAPTERS)[number][1];

interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Record<string, unknown> | undefined;
}

/** Keeps what was logged. */
export function memoryLogger(): Logger & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: LogLine['level']) => (message: string, fields?: object) =>
    lines.push({ level, message, fields: fields as Record<string, unknown> | undefined });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** A token that {@link authenticate} accepts; `signature` other than `good` makes it a forged one. */
export const token = (claims: Record<string, unknown>, signature = 'good'): string =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
export const userToken = (role: Role = 'enduser', sub = alice): string =>
  token({
    type: 'access',
    sub,
    role,
    username: 'alice',
    email: 'alice@example.test',
    iat: 1_000,
    exp: 2_000,
    jti: 'j1',
  });
export const serviceToken = (sub = 'chat-proxy'): string => token({ type: 'service', sub });
export const bearer = (value: string) => ({ authorization: `Bearer ${value}` });

async function claimsOf<Claims>(value: string, type: string): Promise<Claims> {
  const [, payload = '', signature] = value.split('.');
  if (signature !== 'good') throw new Error('bad signature');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims & { type: string };
  if (claims.type !== type) throw new Error('another kind of token');
  return claims;
}

export const authenticatorOptions: AuthenticatorOptions = {
  verifyAccess: (value) => claimsOf(value, 'access'),
  verifyService: (value) => claimsOf(value, 'service'),
  cookie: { name: 'accessToken', allowedOrigins: ['https://app.example.test'] },
};
export const authenticate = createAuthenticator(authenticatorOptions);

export interface Running {
  readonly url: string;
  readonly port: number;
  readonly server: Server;
  readonly logger: ReturnType<typeof memoryLogger>;
  readonly observed: Parameters<ObserveRequest>[0][];
  stop(): Promise<void>;
}

const running = new Set<Running>();

/** Serves on a port of the system's choice; {@link stopAll} ends everything a test file started. */
export async function start(adapter: Adapter, options: Partial<ServiceOptions> = {}): Promise<Running> {
  const logger = memoryLogger();
  const observed: Running['observed'] = [];
  const server = await adapter({
    service: 'things',
    version: '1.2.3',
    routes: [],
    authenticate,
    health: createHealth({ service: 'things', checks: {} }),
    logger,
    observe: (seen) => observed.push(seen),
    allowedOrigins: ['https://app.example.test'],
    trustProxyHops: 0,
    production: true,
    ...options,
  });
  const port = await listen(server);
  const service: Running = {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    logger,
    observed,
    stop: () => stop(server),
  };
  running.add(service);
  return service;
}

export async function listen(server: Server): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  return (server.address() as AddressInfo).port; // a listening TCP server has an address object
}

export async function stop(server: Server): Promise<void> {
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  server.closeAllConnections();
  await closed.promise;
}

export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((service) => service.stop()));
  running.clear();
}

export interface Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly text: string;
  /** The parsed body; undefined when it is empty. */
  readonly json: Record<string, unknown>;
}

interface Sent {
  readonly headers?: Record<string, string | string[]>;
  /** Sent as it is when it is text or bytes, else as JSON. */
  readonly body?: unknown;
}

/** One HTTP call; a body gets the JSON content type unless the headers say something else (an empty one says: none). */
export async function call(service: { url: string }, line: string, { headers = {}, body }: Sent = {}): Promise<Answer> {
  const [method = 'GET', path = '/'] = line.split(' ');
  const raw = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const typed = { ...(raw !== undefined && { 'content-type': 'application/json' }), ...headers };
  const response = await request(service.url + path, {
    method: method as Dispatcher.HttpMethod,
    headers: Object.fromEntries(
      Object.entries(typed).filter(([name, value]) => name !== 'content-type' || value !== ''),
    ),
    body: raw ?? null,
  });
  const text = await response.body.text();
  return { status: response.statusCode, headers: response.headers, text, json: jsonOf(response.headers, text) };
}

const jsonOf = (headers: Answer['headers'], text: string): Answer['json'] =>
  (/json/.test(String(headers['content-type'])) && text !== '' ? JSON.parse(text) : undefined) as Answer['json'];

export interface Wire {
  readonly socket: Socket;
  /** Everything received so far. */
  received(): string;
  /** Resolves with everything received once it contains `text`, or rejects when the connection ends before. */
  until(text: string): Promise<string>;
  /** Resolves with everything received when the connection is closed. */
  ended(): Promise<string>;
}

/** A bare TCP connection, for what an HTTP client would not send or would hide. */
export function wire(port: number, text = ''): Wire {
  const socket = connect(port, '127.0.0.1');
  let got = '';
  const closed = Promise.withResolvers<void>();
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    got += String(chunk);
  });
  socket.on('error', () => undefined); // a reset is seen as the end of the connection
  socket.once('close', () => closed.resolve());
  socket.write(text);
  return {
    socket,
    received: () => got,
    async until(wanted) {
      const arrived = Promise.withResolvers<void>();
      const look = () => got.includes(wanted) && arrived.resolve();
      socket.on('data', look);
      look();
      await within(5000, Promise.race([arrived.promise, closed.promise])).catch(() => undefined);
      socket.off('data', look);
      if (!got.includes(wanted))
        throw new Error(`the connection ended, or 5 s passed, before ${JSON.stringify(wanted)}: ${got}`);
      return got;
    },
    async ended() {
      await closed.promise;
      return got;
    },
  };
}

/** Rejects when `work` takes longer than `ms`. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again after every turn of the event loop until `look` is true; rejects after `ms`. */
export async function eventually(look: () => boolean, ms = 5000): Promise<void> {
  const end = performance.now() + ms;
  while (!look()) {
    if (performance.now() > end) throw new Error(`not true within ${ms} ms: ${look}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Rejects with the signal's reason, and never before. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  return promise;
}
