import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { deserialize, serialize } from 'bson';
import type { Document } from 'bson';

import { createFrameReader } from '../src/documentdb-gateway/wire.ts';

const OP_QUERY = 2004;
const OP_MSG = 2013;
const MORE_TO_COME = 2;

/** A connection without a driver: sends exactly the bytes a test wants and takes answers in their order. */
export type RawConnection = {
  socket: Socket;
  send(bytes: Buffer): void;
  /** Sends a command and waits for its answer. */
  command(document: Document): Promise<Document>;
  answer(): Promise<Document>;
  /** Resolves when the server has ended the connection. */
  closed: Promise<unknown>;
};

export async function connectRaw(port: number): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const read = createFrameReader();
  const answers: Document[] = [];
  const waiting: ((answer: Document) => void)[] = [];
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    for (const frame of read(chunk)) {
      const isMessage = frame.readInt32LE(12) === OP_MSG;
      const answer = deserialize(frame.subarray(isMessage ? 21 : 36));
      const taker = waiting.shift();
      if (taker) taker(answer);
      else answers.push(answer);
    }
  });
  const answer = async () => answers.shift() ?? new Promise<Document>((resolve) => waiting.push(resolve));
  const send = (bytes: Buffer) => void socket.write(bytes);
  const command = (document: Document) => {
    send(messageOf(document));
    return answer();
  };
  return { socket, send, command, answer, closed: once(socket, 'close') };
}

/** OP_MSG with one document; unacknowledged ones ask for no answer. */
export function messageOf(document: Document, isUnacknowledged = false): Buffer {
  const flags = Buffer.alloc(5);
  flags.writeInt32LE(isUnacknowledged ? MORE_TO_COME : 0);
  return framed(OP_MSG, Buffer.concat([flags, serialize(document)]));
}

/** The way drivers said hello before OP_MSG. */
export function legacyQueryOf(document: Document): Buffer {
  return framed(
    OP_QUERY,
    Buffer.concat([Buffer.alloc(4), Buffer.from('admin.$cmd\0'), Buffer.alloc(8), serialize(document)]),
  );
}

function framed(opCode: number, content: Buffer): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(16 + content.length, 0);
  header.writeInt32LE(7, 4);
  header.writeInt32LE(opCode, 12);
  return Buffer.concat([header, content]);
}
