import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A client as its bytes make it, which no library keeps from being rude. */
export interface RawClient {
  readonly socket: Socket;
  /** The connection has ended, from either side. */
  readonly isOver: boolean;
}

export interface RawAsk {
  readonly url: string;
  readonly token: string;
  readonly body: object;
}

const open = (url: string): RawClient => {
  const { port, hostname } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
  const client = { socket, isOver: false };
  socket.on('error', () => undefined);
  socket.on('end', () => {
    client.isOver = true;
  });
  socket.on('close', () => {
    client.isOver = true;
  });
  return client;
};

/** Asks for a stream, and reads nothing of it yet. */
export function ask({ url, token, body }: RawAsk): RawClient {
  const client = open(url);
  const text = JSON.stringify(body);
  client.socket.pause();
  client.socket.write(
    `POST /api/v1/chat/predict/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return client;
}

/** So many bytes, and not one more than the system takes by itself; fewer when it ends before. */
export async function take({ socket }: RawClient, bytes: number): Promise<string> {
  let text = '';
  while (text.length < bytes) {
    const piece = socket.read(Math.min(bytes - text.length, Math.max(1, socket.readableLength))) as Buffer | null;
    if (piece) text += piece.toString('latin1');
    else if (socket.readableEnded || socket.destroyed) return text;
    else await Promise.race([once(socket, 'readable'), once(socket, 'close'), once(socket, 'end')]);
  }
  return text;
}

const LAST_CHUNK = '0\r\n\r\n';

/** All of it, as fast as it comes; closes the connection. */
export async function takeAll({ socket }: RawClient): Promise<void> {
  let end = '';
  for await (const piece of socket) {
    end = (end + (piece as Buffer).subarray(-LAST_CHUNK.length).toString('latin1')).slice(-LAST_CHUNK.length);
    if (end === LAST_CHUNK) return;
  }
}

/** One byte a second, for so long. */
export function dawdle({ socket }: RawClient, seconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = seconds;
  const timer = setInterval(() => {
    socket.read(1);
    left -= 1;
    if (left > 0 && !socket.destroyed) return;
    clearInterval(timer);
    resolve();
  }, 1000);
  return promise;
}

/** A request whose headers come letter by letter and never end. */
export function crawl(url: string): RawClient {
  const client = open(url);
  client.socket.resume();
  client.socket.write('GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  const timer = setInterval(() => client.socket.write('a'), 1000);
  client.socket.on('end', () => client.socket.end());
  client.socket.on('close', () => clearInterval(timer));
  return client;
}
