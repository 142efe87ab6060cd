import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { AppError } from '../app-error.ts';
import { answerBrokenRequests, refuseRequest } from './broken-request.ts';
import { LONGEST_ADDRESS } from './request-line.ts';

/** Node's own limits, as ASVS 5.0 (13.1) wants them written down. All times in milliseconds. */
const LIMITS = {
  /** Bytes of request line and headers together. */
  maxHeaderSize: 16_384,
  headersTimeout: 15_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 65_000,
  /** How late a slow request may be noticed. */
  connectionsCheckingInterval: 2000,
  /** Checked here, so that the refusal has the headers of every answer. */
  requireHostHeader: false,
} as const satisfies ServerOptions;

/** After so many requests a connection is given up, so that load spreads over instances that were added. */
const REQUESTS_PER_SOCKET = 10_000;
/** Beyond it new connections are closed at once: memory is worth more than a queue. */
const MOST_CONNECTIONS = 20_000;

export interface HttpServerOptions {
  readonly production: boolean;
  /** For tests: other times. */
  readonly limits?: Partial<Record<keyof typeof LIMITS, number>>;
}

/** The server of every service: its limits, and the refusal of requests that are not plain HTTP before any framework sees them. */
export function createHttpServer(handle: RequestListener, { production, limits }: HttpServerOptions): Server {
  const server = createServer({ ...LIMITS, ...limits, requireHostHeader: false }, (request, response) => {
    const fault = faultOf(request);
    if (fault) refuseRequest(response, fault, production);
    else handle(request, response);
  });
  server.maxRequestsPerSocket = REQUESTS_PER_SOCKET;
  server.maxConnections = MOST_CONNECTIONS;
  answerBrokenRequests(server, production);
  return server;
}

/** Node keeps the first of two and says nothing; whatever stands before us may have kept the other one. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-type',
  'content-length',
  'transfer-encoding',
  'x-api-key',
  'api-key',
  'x-on-behalf-of',
  'x-workspace-id',
  'idempotency-key',
  'origin',
]);

/** What is wrong with a request that the parser has let pass (RFC 9112, sections 2.3, 3.2 and 6.1). */
function faultOf({ httpVersion, url = '', headers, rawHeaders }: IncomingMessage): AppError | undefined {
  if (url.length > LONGEST_ADDRESS) return new AppError('URI_TOO_LONG');
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return invalid('The version of HTTP is not supported');
  if (httpVersion === '1.1' && headers.host === undefined) return invalid('The Host header is missing');
  if (url.includes('#')) return invalid('The address has a fragment');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return invalid('The transfer coding is not supported');
  const repeated = repeatedOf(rawHeaders);
  return repeated === undefined ? undefined : invalid(`The header ${repeated} was sent more than once`);
}

/** Names and values in turns, as they came. */
function repeatedOf(rawHeaders: readonly string[]): string | undefined {
  const seen: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    if (!SINGLE_HEADERS.has(name)) continue;
    if (seen.includes(name)) return name;
    seen.push(name);
  }
  return undefined;
}

const invalid = (detail: string): AppError => new AppError('VALIDATION_FAILED', detail);
