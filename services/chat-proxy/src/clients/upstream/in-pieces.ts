import type { buildConnector } from 'undici';

/** So much of what a connection has got is read at once. */
const PIECE_BYTES = 16_384;

/**
 * Connections that are read a piece at a time. undici reads all that a connection holds and puts back what nobody wants yet; taken
 * for empty meanwhile, the connection gets 64 KiB more for each 16 that go on. So most of an answer lay here when its client was
 * slow, and all of that was copied for every piece.
 */
export const inPieces =
  (connect: buildConnector.connector): buildConnector.connector =>
  (target, done) =>
    connect(target, (...[error, socket]) => {
      if (error) return done(error, null);
      const read = socket.read.bind(socket);
      // Without a size, all of it; asked for nothing of nothing, it would not wait for more.
      socket.read = (size?: number): unknown =>
        read(size ?? (socket.readableLength > PIECE_BYTES ? PIECE_BYTES : undefined));
      done(null, socket);
    });
