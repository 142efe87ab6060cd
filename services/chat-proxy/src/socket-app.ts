import type { IncomingMessage, Server } from 'node:http';
import websocket from '@fastify/websocket';
import { chat } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ChatSockets } from './routes/chat-sockets.ts';
import type { WireSocket } from './routes/socket-writer.ts';

const { path: PATH } = chat.openChatSocket;
/** The one that is spoken; beside it a client may offer `bearer.<token>`. */
const SUBPROTOCOL = 'tollgate.v1';
const BEARER = 'bearer.';
/** Bytes that may arrive before it is known who sends them. */
const MOST_UNKNOWN_BYTES = 32_768;

/** Makes the route of sockets one: everything else that a request to it goes through stays as it is. */
export const withSockets = (sockets: ChatSockets) =>
  async function prepare(app: FastifyInstance): Promise<void> {
    app.addHook('onRoute', (route) => {
      if (route.url !== PATH || route.method !== 'GET') return;
      Object.assign(route, {
        wsHandler: (socket: WireSocket, request: FastifyRequest) => open(sockets, socket, request),
      });
    });
    await app.register(websocket, {
      options: {
        maxPayload: chat.predictStreamStore.bodyLimit,
        perMessageDeflate: false,
        // Never the token: what is chosen is sent back.
        handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
      },
    });
    app.addHook('onRequest', async ({ raw, ws, headers }) => {
      if (!ws) return;
      if (raw.url?.includes('?')) throw new AppError('VALIDATION_FAILED', 'The address of the socket has no query');
      if (!sockets.mayOpen(headers.origin, headers.host)) throw new AppError('SOCKET_ORIGIN_REJECTED');
    });
    // Other requests to be upgraded (h2c, for example) are answered as if they had not asked, as RFC 9110, 7.8 allows.
    (app.server as Server & Upgrading).shouldUpgradeCallback = ({ url, headers }) =>
      url?.split('?')[0] === PATH && headers.upgrade?.toLowerCase() === 'websocket';
  };

interface Upgrading {
  shouldUpgradeCallback: (request: IncomingMessage) => boolean;
}

function open(sockets: ChatSockets, socket: WireSocket, request: FastifyRequest): void {
  const offered = request.headers['sec-websocket-protocol']?.split(',').map((name) => name.trim()) ?? [];
  const credential = offered.find((name) => name.startsWith(BEARER))?.slice(BEARER.length);
  const opened = sockets.open(socket, { ip: request.ip, origin: request.headers.origin, credential });
  const { socket: raw } = request.raw;
  const before = raw.bytesRead;
  const watch = (): void => {
    if (opened.caller) raw.off('data', watch);
    else if (raw.bytesRead - before > MOST_UNKNOWN_BYTES) socket.terminate();
  };
  raw.on('data', watch);
}
