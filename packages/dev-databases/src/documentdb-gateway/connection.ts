import type { Socket } from 'node:net';

import { serialize } from 'bson';

import { answer } from './commands.ts';
import type { Gateway } from './context.ts';
import { CODES, CommandError, errorReply } from './errors.ts';
import { readRequest } from './request.ts';
import { createFrameReader, encodeReply, parseFrame } from './wire.ts';
import type { Message } from './wire.ts';

/**
 * Serves one connection: commands in the order they come, the next one read only when the last is answered.
 * What the connection left open is released when it closes.
 */
export async function serveConnection(socket: Socket, gateway: Gateway, connection: number): Promise<void> {
  const readFrames = createFrameReader();
  socket.setNoDelay(true);
  // A reset shows as the end of the stream below; without a listener it would end the process.
  socket.on('error', () => undefined);
  try {
    for await (const chunk of socket) {
      for (const frame of readFrames(chunk as Buffer)) await answerFrame(frame, socket, gateway, connection);
    }
  } catch {
    // Not the MongoDB protocol, or the peer is gone: there is nobody to explain it to.
  } finally {
    socket.destroy();
    await Promise.allSettled([
      gateway.sessions.forgetConnection(connection),
      gateway.cursors.forgetConnection(connection),
    ]);
  }
}

/** A message that cannot be framed ends the connection; a command that cannot be understood gets an answer. */
async function answerFrame(frame: Buffer, socket: Socket, gateway: Gateway, connection: number): Promise<void> {
  const message = parseFrame(frame);
  const document = await answerMessage(message, gateway, connection);
  if (message.wantsReply) socket.write(encodeReply(message, document));
}

async function answerMessage(message: Message, gateway: Gateway, connection: number): Promise<Uint8Array> {
  try {
    return await answer(readRequest(message), gateway, connection);
  } catch (error) {
    return serialize(errorReply(new CommandError(CODES.FailedToParse, String(error)), false));
  }
}
