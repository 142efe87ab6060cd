// Imports nothing that takes time to load: until it runs, a signal would find nobody.
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as timer } from 'node:timers/promises';
import type { Health } from '../health.ts';
import type { Logger } from '../server/service-options.ts';

/** A service that is built, and what begins and ends it. */
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
  /** Milliseconds after that within which answers settle and resources close. */
  readonly closeMs: number;
  /** Milliseconds from a second signal to the end of the process; 2,500 when absent. */
  readonly hurriedMs?: number;
  /** What begins once requests are taken; when the signal aborts it ends soon, and begins nothing more. */
  readonly start?: (stopping: AbortSignal) => Promise<void>;
  /** Nothing new is accepted from now on; for connections that are no requests, which nobody else would end. */
  readonly draining?: () => void;
  /** Tells running answers to end; called when `drainMs` is over. */
  readonly endAnswers?: () => void;
  /** Writes down how far running answers are, for whoever has to end them instead. */
  readonly checkpoint?: () => Promise<unknown>;
  /** Closes everything else, after the last connection, in so many milliseconds. */
  readonly close: (deadlineMs: number) => Promise<void>;
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;

/** Of `closeMs`, for answers that were told to end. */
const ENDING_SHARE = 0.4;
const HURRIED_MS = 2500;
const HURRIED_ENDING_MS = 1000;
/** What is left to the process after its resources. */
const LAST_MS = 200;

type Why = { readonly signal: string } | { readonly error: unknown };

/**
 * Builds a service, listens, and stops gracefully on a signal: not ready, accept a little longer, drain, close, exit 0. A second
 * signal ends the answers at once, notes how far they were, and exits within three seconds; docs/adr/0028-graceful-life.md.
 * Resolves with the port when everything has begun.
 */
export async function runService(build: () => Promise<RunOptions>): Promise<number> {
  // Until it listens a service has begun nothing that would have to be ended.
  let stop: (why: Why) => void = () => exit(0);
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop({ signal }));
  const options = await build();
  const { server, logger, host } = options;
  const sockets = trackSockets(server);
  const port = await listen(options);
  logger.info('listening', { host, port });

  const stopping = new AbortController();
  const hurried = new AbortController();
  let code = 0;
  stop = (why) => {
    if ('error' in why) {
      code = 1;
      logger.error('stopping after an error nobody handled', { error: why.error });
    }
    if (stopping.signal.aborted) return hurry(why, hurried, options);
    if ('signal' in why) logger.info('stopping', why);
    stopping.abort();
    exitAfter(options.acceptMs + options.drainMs + options.closeMs, logger);
    void stopGracefully({ options, sockets, started, hurried: hurried.signal })
      .catch((error: unknown) => {
        code = 1;
        logger.error('the stop failed', { error });
      })
      .finally(() => {
        logger.info('stopped');
        exit(code);
      });
  };
  process.on('uncaughtException', (error) => stop({ error }));
  const started = begin(options, stopping.signal, stop);
  await started;
  return port;
}

/**
 * Connections that may wait until this process comes to them, as far as the system lets them. Beyond it their first packets are
 * lost and come again after 1 s and 3 s, when a load balancer has given up: with Node's own 511 every second one of a burst of 1,000.
 */
const BACKLOG = 4096;

async function listen({ server, port, host }: RunOptions): Promise<number> {
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ port, host, backlog: BACKLOG }, resolve);
  await listening;
  server.off('error', reject);
  const address = server.address();
  return typeof address === 'object' && address ? address.port : port;
}

/** Never rejects: a start that fails is the end of the service, and one that was broken off by its end is none. */
async function begin({ start }: RunOptions, stopping: AbortSignal, stop: (why: Why) => void): Promise<void> {
  try {
    await start?.(stopping);
  } catch (error) {
    if (!stopping.aborted) stop({ error });
  }
}

function hurry(why: Why, hurried: AbortController, { logger, hurriedMs = HURRIED_MS }: RunOptions): void {
  // Errors of its own must not keep a service from its last words.
  if ('error' in why || hurried.signal.aborted) return;
  logger.warn('stopping at once', why);
  hurried.abort();
  exitAfter(hurriedMs, logger);
}

// What is still open somewhere must not keep a process that has ended.
// oxlint-disable-next-line unicorn/no-process-exit -- this is where processes end
const exit = (code: number): never => process.exit(code);

function exitAfter(ms: number, logger: Logger): void {
  setTimeout(() => {
    logger.error('the stop took too long', { ms });
    exit(1);
  }, ms).unref();
}

interface Stopping {
  readonly options: RunOptions;
  readonly sockets: Sockets;
  readonly started: Promise<void>;
  readonly hurried: AbortSignal;
}

async function stopGracefully({ options, sockets, started, hurried }: Stopping): Promise<void> {
  const { server, health, acceptMs, drainMs, closeMs, draining, endAnswers, checkpoint, close } = options;
  health.drain();
  // Whoever asks now is told to use another connection for the next request.
  server.prependListener('request', (_request, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
  await pause(acceptMs, hurried);
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  draining?.();
  const idle = setInterval(() => {
    // Node closes what is idle at this moment only; a connection that is still answering would stay open after its answer.
    server.closeIdleConnections();
    sockets.closeSilent();
  }, IDLE_CHECK_MS);
  await Promise.race([closed, pause(drainMs, hurried)]);
  const endBy = deadlineOf(options, hurried);
  endAnswers?.();
  const noted = checkpoint?.().catch(() => undefined);
  await Promise.race([closed, pause(closeMs * ENDING_SHARE, hurried)]);
  if (hurried.aborted) await Promise.race([closed, timer(HURRIED_ENDING_MS)]);
  clearInterval(idle);
  sockets.closeAll();
  await closed;
  // Migrations under way end by themselves; the half of one would keep the next process waiting for its lock.
  await Promise.race([Promise.all([noted, started]), pause((endBy() - performance.now()) / 2, hurried)]);
  await close(Math.max(0, endBy() - performance.now()));
}

/** When the resources must be closed, as of now: a second signal brings it forward. */
function deadlineOf({ closeMs, hurriedMs = HURRIED_MS }: RunOptions, hurried: AbortSignal): () => number {
  let endBy = performance.now() + closeMs - LAST_MS;
  const bringForward = (): void => {
    endBy = Math.min(endBy, performance.now() + hurriedMs - LAST_MS);
  };
  if (hurried.aborted) bringForward();
  else hurried.addEventListener('abort', bringForward, { once: true });
  return () => endBy;
}

/** Ends early, without an error, when the signal aborts. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  ms > 0 && !signal.aborted ? timer(ms, undefined, { signal }).catch(() => undefined) : Promise.resolve();

/** Milliseconds between two looks for connections whose last answer is out. */
const IDLE_CHECK_MS = 50;

interface Sockets {
  closeSilent(): void;
  closeAll(): void;
}

/** All connections, also those that have become something else than HTTP, which Node's server no longer counts as its own. */
function trackSockets(server: Server): Sockets {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return {
    /**
     * Connections that were opened and on which nothing was ever sent, as browsers and load balancers keep them ready. Node
     * counts them as busy, and no longer looks at their time when the server closes.
     */
    closeSilent() {
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    },
    closeAll() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
