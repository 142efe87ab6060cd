import type { IncomingMessage, Server } from 'node:http';
import websocket from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../app-error.ts';

/** A WebSocket as `ws` has it. */
export interface WireSocket {
  /** Bytes that were sent and have not left this process. */
  readonly bufferedAmount: number;
  send(text: string, sent: (error?: Error) => void): void;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
  on(event: 'message', listener: (bytes: Uint8Array, isBinary: boolean) => void): unknown;
  on(event: 'pong' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** Who opened it. */
export interface SocketVisitor {
  readonly ip: string;
  readonly origin: string | undefined;
  /** A token or API key from the subprotocols. */
  readonly credential: string | undefined;
}

export interface SocketRoute {
  /** Of a mounted GET, which answers those who do not upgrade. */
  readonly path: string;
  /** The one that is spoken; beside it a client may offer `bearer.<token>`. */
  readonly subprotocol: string;
  /** Bytes of a message. */
  readonly longestMessage: number;
  /** Whether a page may open one. Who is no browser names no origin. */
  readonly mayOpen: (origin: string | undefined, host: string | undefined) => boolean;
  readonly open: (socket: WireSocket, visitor: SocketVisitor) => { readonly isKnown: boolean };
}

const BEARER = 'bearer.';
/** Bytes that may arrive before it is known who sends them. */
const MOST_UNKNOWN_BYTES = 32_768;

/** Plugins for one path, whose hooks no other request pays for: one hook at the end, and Fastify keeps all it knows until then. */
export interface OwnScope {
  readonly path: string;
  /** Whether the connection is taken from HTTP: a refusal has to end it. */
  readonly isUpgrade: (request: IncomingMessage) => boolean;
  readonly prepare: (scope: FastifyInstance) => Promise<void>;
}

/** Lets a route be upgraded to a WebSocket (RFC 6455): everything else that a request goes through stays as it is. */
export const withSocketRoute = (route: SocketRoute): OwnScope => ({
  path: route.path,
  isUpgrade: (request) => isUpgrade(route, request),
  async prepare(app: FastifyInstance): Promise<void> {
    app.addHook('onRoute', (mounted) => {
      if (mounted.url !== route.path || mounted.method !== 'GET') return;
      mounted.wsHandler = (socket, request) => open(route, socket, request as FastifyRequest);
    });
    await app.register(websocket, {
      options: {
        maxPayload: route.longestMessage,
        perMessageDeflate: false,
        // Never the token: what is chosen is sent back.
        handleProtocols: (offered) => (offered.has(route.subprotocol) ? route.subprotocol : false),
      },
    });
    app.addHook('onRequest', async ({ raw, ws, headers }) => {
      if (!ws) return;
      if (raw.url?.includes('?')) throw new AppError('VALIDATION_FAILED', 'The address of the socket has no query');
      if (!route.mayOpen(headers.origin, headers.host)) throw new AppError('SOCKET_ORIGIN_REJECTED');
    });
    // Other wishes to upgrade (h2c, for example) are answered as if there were none, which RFC 9110, section 7.8, allows.
    // So is one that is no GET: it belongs to no route with these hooks, which look after the connection.
    (app.server as Server & Upgrading).shouldUpgradeCallback = (request) => isUpgrade(route, request);
  },
});

const isUpgrade = ({ path }: SocketRoute, { method, url, headers }: IncomingMessage): boolean =>
  method === 'GET' && url?.split('?')[0] === path && headers.upgrade?.toLowerCase() === 'websocket';

/** Node 24; its types do not have it yet. */
interface Upgrading {
  shouldUpgradeCallback: (request: IncomingMessage) => boolean;
}

function open(route: SocketRoute, socket: WireSocket, request: FastifyRequest): void {
  const offered = request.headers['sec-websocket-protocol']?.split(',').map((name) => name.trim()) ?? [];
  const credential = offered.find((name) => name.startsWith(BEARER))?.slice(BEARER.length);
  const opened = route.open(socket, { ip: request.ip, origin: request.headers.origin, credential });
  const { socket: raw } = request.raw;
  const before = raw.bytesRead;
  const watch = (): void => {
    if (opened.isKnown) raw.off('data', watch);
    else if (raw.bytesRead - before > MOST_UNKNOWN_BYTES) socket.terminate();
  };
  raw.on('data', watch);
}
