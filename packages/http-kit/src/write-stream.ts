import type { ServerResponse } from 'node:http';
import type { StreamReply } from './route.ts';

/**
 * Writes a streamed answer with backpressure. The chunks' iterator is always returned, so its `finally` runs
 * when the client leaves, when it fails, and at its end. A failure after the headers cuts the connection:
 * an answer that broke off must not look complete.
 */
export async function writeStream(response: ServerResponse, reply: StreamReply, signal: AbortSignal): Promise<void> {
  try {
    for await (const chunk of reply.chunks) {
      if (!response.write(chunk)) await drainedOrClosed(response);
      if (signal.aborted || response.destroyed) break;
    }
    response.end();
  } catch (error) {
    response.destroy();
    throw error;
  }
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
