import type { ServerResponse } from 'node:http';
import { toAppError } from '../problem.ts';
import { logFailure } from './respond.ts';
import type { StreamReply } from '../route.ts';
import type { Logger } from './service-options.ts';

/**
 * Writes a streamed answer with backpressure. The chunks' iterator is always returned, so its `finally` runs
 * when the client leaves, when it fails, and at its end. A failure after the headers ends the connection:
 * an answer that broke off must not look complete. Never throws: there is nothing left to answer.
 */
export async function writeStream(
  response: ServerResponse,
  reply: StreamReply,
  signal: AbortSignal,
  logger: Logger,
): Promise<void> {
  try {
    for await (const chunk of reply.chunks) {
      if (!response.write(chunk)) await drainedOrClosed(response);
      if (signal.aborted || response.destroyed) break;
    }
    response.end();
  } catch (error) {
    logFailure(toAppError(error), logger, signal);
    cut(response);
  }
}

/** Milliseconds for a client to take what was written before a failure. */
const FLUSH_MS = 5000;

/** Ends the connection after what was already written, without the final chunk. */
function cut(response: ServerResponse): void {
  const { socket } = response;
  socket?.setTimeout(FLUSH_MS, () => socket.destroy());
  socket?.destroySoon();
}

/** A client that has gone never drains, so `close` ends the wait as well. */
async function drainedOrClosed(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  response.once('drain', resolve);
  response.once('close', resolve);
  await promise;
  response.off('drain', resolve);
  response.off('close', resolve);
}
