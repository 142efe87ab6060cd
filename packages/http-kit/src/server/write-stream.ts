import type { ServerResponse } from 'node:http';
import { toAppError } from '../problem.ts';
import { logFailure } from './respond.ts';
import type { StreamReply } from '../route.ts';
import type { ServiceOptions } from './service-options.ts';

const STALL_MS = 60_000;

/** The headers of a streamed answer; the names of its trailers stand in them where there can be trailers. */
export function streamHeaders(response: ServerResponse, reply: StreamReply): Record<string, string> {
  const names = Object.keys(reply.trailers);
  const { httpVersion, method } = response.req;
  return {
    'content-type': reply.contentType,
    'cache-control': 'no-cache',
    ...reply.headers,
    ...(names.length > 0 && httpVersion === '1.1' && method !== 'HEAD' && { trailer: names.join(', ') }),
  };
}

/**
 * Writes a streamed answer with backpressure. The chunks' iterator is always returned, so its `finally` runs
 * when the client leaves or stops reading, when it fails, and at its end. A failure after the headers ends the connection:
 * an answer that broke off must not look complete. Never throws: there is nothing left to answer.
 */
export async function writeStream(
  response: ServerResponse,
  reply: StreamReply,
  signal: AbortSignal,
  { logger, stallMs = STALL_MS }: Pick<ServiceOptions, 'logger' | 'stallMs'>,
): Promise<void> {
  try {
    // A HEAD has no body: none of it is made.
    if (response.req.method === 'HEAD') await reply.chunks[Symbol.asyncIterator]().return?.();
    else writeHead(response);
    for await (const chunk of reply.chunks) {
      if (!response.write(chunk)) await taken(response, 'drain', stallMs);
      if (signal.aborted || response.destroyed) break;
    }
    response.addTrailers(Object.entries(reply.trailers).map(([name, value]) => [name, value()] as const));
    response.end();
    await taken(response, 'finish', stallMs);
  } catch (error) {
    logFailure(toAppError(error), logger, signal);
    cut(response);
  }
}

/**
 * By itself, though in one packet with the first chunk: joined to that, Node would keep it in the hundred pieces of which it has
 * been made for as long as the answer takes.
 */
function writeHead(response: ServerResponse): void {
  const { socket } = response;
  socket?.cork();
  response.flushHeaders();
  process.nextTick(() => socket?.uncork());
}

/** Milliseconds for a client to take what was written before a failure. */
const FLUSH_MS = 5000;

/** Ends the connection after what was already written, without the final chunk. */
function cut(response: ServerResponse): void {
  const { socket } = response;
  socket?.setTimeout(FLUSH_MS, () => socket.destroy());
  socket?.destroySoon();
}

/**
 * Waits until the client has taken what was written. One that has gone never does, so `close` ends the wait as well; one that
 * stays and reads nothing loses its connection.
 */
async function taken(response: ServerResponse, event: 'drain' | 'finish', stallMs: number): Promise<void> {
  if (response.destroyed || response.writableFinished) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stalled = setTimeout(() => response.destroy(), stallMs);
  response.once(event, resolve);
  response.once('close', resolve);
  await promise;
  clearTimeout(stalled);
  response.off(event, resolve);
  response.off('close', resolve);
}
