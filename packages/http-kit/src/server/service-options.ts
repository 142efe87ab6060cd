import type { Authenticate, Caller } from '../caller.ts';
import type { Health } from '../health.ts';
import type { Route } from '../route.ts';
import type { Tracer } from '../tracing/span.ts';
import type { Refusal } from './refusal.ts';

/** The part of a logger this package uses; winston fits. */
export interface Logger {
  debug(message: string, fields?: object): unknown;
  info(message: string, fields?: object): unknown;
  warn(message: string, fields?: object): unknown;
  error(message: string, fields?: object): unknown;
}

/** Called once per finished request; feeds the RED metrics. */
export type ObserveRequest = (observed: {
  method: string;
  route: string;
  status: number;
  seconds: number;
  /** The code of the error that it was answered with. */
  failure?: string;
}) => void;

/** Spends a unit of the limits that apply; throws RATE_LIMITED, or returns the RateLimit headers of the answer. */
export type Limit = (request: {
  route: Route;
  caller: Caller | undefined;
  ip: string;
}) => Promise<Readonly<Record<string, string>> | undefined>;

export interface ServiceOptions {
  readonly service: string;
  readonly version: string;
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
  readonly health: Health;
  readonly logger: Logger;
  readonly observe?: ObserveRequest;
  /** Absent where nothing is traced. */
  readonly tracer?: Tracer;
  /** Told of everybody proven who was not allowed something. Must not throw. */
  readonly refused?: (refusal: Refusal) => void;
  /**
   * Prometheus text. Shown only to who sends one of `metricsTokens` as a bearer; when there are none, to loopback and private
   * addresses that call directly: a request which came through more reverse proxies than `trustProxyHops` is not internal.
   */
  readonly metrics?: () => Promise<string>;
  readonly metricsTokens?: readonly string[];
  readonly limit?: Limit;
  /** Origins that browsers may call from; empty: none. `*` is refused, because credentials are allowed. */
  readonly allowedOrigins: readonly string[];
  /**
   * Whether pages of another origin may call this path as well. They are never allowed credentials that a browser sends by
   * itself. Only Fastify asks.
   */
  readonly isOriginAllowed?: (origin: string, path: string) => Promise<boolean>;
  /** How many reverse proxies stand before this service; decides which X-Forwarded-For entry is believed. */
  readonly trustProxyHops: number;
  /** Milliseconds a client may leave a streamed answer unread before its connection is ended; 60,000 when absent. */
  readonly stallMs?: number;
  /** HSTS is sent in production only. */
  readonly production: boolean;
}

/** helmet's options, the same for both frameworks. The documentation page alone needs scripts and styles of its own origin. */
export const securityHeaders = (production: boolean) => ({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
    },
  },
  strictTransportSecurity: production ? { maxAge: 31_536_000, includeSubDomains: true } : false,
  referrerPolicy: { policy: 'no-referrer' as const },
  crossOriginResourcePolicy: { policy: 'same-origin' as const },
});

/** CORS for the configured origins only (Fetch standard, CORS protocol). */
export function corsOptions(allowedOrigins: readonly string[]) {
  if (allowedOrigins.some((origin) => origin === '*' || origin === 'null')) {
    throw new Error('Allowed origins must be listed one by one: "*" and "null" cannot be combined with credentials');
  }
  return {
    origin: [...allowedOrigins],
    credentials: true,
    maxAge: 600,
    // OPTIONS without the headers of a preflight is answered all the same, as `cors` for Express does.
    strictPreflight: false,
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: [
      'x-request-id',
      'retry-after',
      'ratelimit',
      'ratelimit-policy',
      'idempotency-replayed',
      'x-credits-charged',
      'x-max-output-tokens',
    ],
  };
}

/** Whether a path's percent-encoding can be decoded (RFC 3986, section 2.1, and UTF-8). */
export function isReadablePath(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
