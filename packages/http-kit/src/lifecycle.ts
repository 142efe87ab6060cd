import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import closeWithGrace from 'close-with-grace';
import type { Health } from './health.ts';
import type { Logger } from './server/service-options.ts';

type Close = () => unknown;

/** Resources in the order they were opened; they close in reverse, each with a share of the deadline. */
export interface Closers {
  add<T extends { close(): unknown }>(name: string, resource: T): T;
  addClose(name: string, close: Close): void;
  /** Never throws: a resource that fails or hangs is reported and passed over. */
  closeAll(deadlineMs?: number): Promise<void>;
}

export function createClosers(logger?: Logger): Closers {
  const open: { name: string; close: Close }[] = [];
  return {
    add(name, resource) {
      open.push({ name, close: () => resource.close() });
      return resource;
    },
    addClose(name, close) {
      open.push({ name, close });
    },
    async closeAll(deadlineMs = 10_000) {
      const end = performance.now() + deadlineMs;
      for (const { name, close } of open.splice(0).reverse()) {
        await closeInTime(close, Math.max(100, end - performance.now())).catch((error: unknown) =>
          logger?.warn('resource did not close cleanly', { resource: name, error }),
        );
      }
    },
  };
}

async function closeInTime(close: Close, timeoutMs: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not closed after ${Math.round(timeoutMs)} ms`)), timeoutMs);
  try {
    await Promise.race([Promise.resolve(close()), promise]);
  } finally {
    clearTimeout(timer);
  }
}

export interface RunOptions {
  /** Made by createHttpServer, which sets its limits. */
  readonly server: Server;
  readonly host: string;
  /** 0: a port of the operating system's choice. */
  readonly port: number;
  readonly health: Health;
  readonly logger: Logger;
  /** Milliseconds in which requests are still accepted after readiness went 503, so that load balancers notice. */
  readonly acceptMs: number;
  /** Milliseconds running answers get to finish before they are told `server_shutdown`. */
  readonly drainMs: number;
  /** Nothing new is accepted from now on; for connections that are no requests, which nobody else would end. */
  readonly draining?: () => void;
  /** Tells running answers to end; called when `drainMs` is over. */
  readonly endAnswers?: () => void;
  /** Closes everything else, after the last connection. */
  readonly close: () => Promise<void>;
}

/** Milliseconds after the drain within which answers settle and resources close. */
const CLOSING_MS = 8000;

/**
 * Listens, and stops gracefully on SIGTERM or SIGINT: not ready, accept a little longer, drain, close, exit 0.
 * A second signal ends the process at once. Resolves with the port when listening.
 */
export async function runService(options: RunOptions): Promise<number> {
  const { server, logger } = options;
  const closeSilent = watchSilent(server);
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(options.port, options.host, resolve);
  await listening;
  server.off('error', reject);
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  logger.info('listening', { host: options.host, port });

  const delay = options.acceptMs + options.drainMs + CLOSING_MS;
  closeWithGrace(
    { delay, logger: { error: (message) => logger.error('stop failed', { error: message }) } },
    async ({ signal, err }) => {
      if (err) logger.error('stopping after an error nobody handled', { error: err });
      else logger.info('stopping', { signal });
      await stopGracefully({ ...options, closeSilent });
      logger.info('stopped');
    },
  );
  return port;
}

/** Milliseconds between two looks for connections whose last answer is out. */
const IDLE_CHECK_MS = 50;

/**
 * Connections that were opened and on which nothing was ever sent, as browsers and load balancers keep them ready. Node counts
 * them as busy, and no longer looks at their time when the server closes.
 */
function watchSilent(server: Server): () => void {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return () => {
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  };
}

async function stopGracefully(options: RunOptions & { closeSilent: () => void }): Promise<void> {
  const { server, health, acceptMs, drainMs, endAnswers, close, closeSilent } = options;
  health.drain();
  // Whoever asks now is told to use another connection for the next request.
  server.prependListener('request', (_request, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  if (acceptMs > 0) await new Promise((resolve) => setTimeout(resolve, acceptMs));
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  options.draining?.();
  // Node closes what is idle at this moment only; a connection that is still answering would stay open after its answer.
  const idle = setInterval(() => {
    server.closeIdleConnections();
    closeSilent();
  }, IDLE_CHECK_MS);
  const drained = setTimeout(() => endAnswers?.(), drainMs);
  const cut = setTimeout(() => server.closeAllConnections(), drainMs + CLOSING_MS / 2);
  await closed;
  clearInterval(idle);
  clearTimeout(drained);
  clearTimeout(cut);
  await close();
}
