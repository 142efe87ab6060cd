import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { BSON } from 'mongodb';

/** What becomes of a command: a number is the code of an error that answers it in the database's place. */
export type Fate =
  | 'hold'
  | 'cut'
  | 'cut after'
  | Readonly<{ code: number; codeName: string; labels?: readonly string[] }>;
export interface Command {
  readonly name: string;
  readonly collection: string;
}

/** Stands between a service and its MongoDB, and can tell commands apart. */
export interface MongoLine {
  readonly port: number;
  /** From now on such commands meet this fate; `undefined` lets everything through, and what was held goes on. */
  meet(fate: Fate | undefined, isMeant?: (command: Command) => boolean): void;
  /** Commands that have met the fate since it was set. */
  met(): number;
  stop(): Promise<void>;
}

const OP_MSG = 2013;
const BODY_AT = 21;

export const OUT_OF_DISK_SPACE: Fate = { code: 14_031, codeName: 'OutOfDiskSpace' };
export const NOT_PRIMARY: Fate = { code: 10_107, codeName: 'NotWritablePrimary', labels: ['RetryableWriteError'] };
export const isWrite = ({ name }: Command): boolean => ['insert', 'update', 'findAndModify'].includes(name);

interface Rule {
  readonly fate: Fate;
  readonly isMeant: (command: Command) => boolean;
  met: number;
}

/** Listens on 127.0.0.1 and passes everything on until a fate is set. */
export async function startMongoLine(target: number): Promise<MongoLine> {
  let rule: Rule | undefined;
  const held = new Set<() => void>();
  const pairs = new Set<() => void>();
  const server = createServer((client) => {
    const database = connect({ port: target, host: '127.0.0.1' });
    const cut = () => {
      client.destroy();
      database.destroy();
      pairs.delete(cut);
    };
    pairs.add(cut);
    for (const socket of [client, database]) socket.on('error', cut).on('close', cut);
    const cutOn = new Set<number>();
    onFrames(database, (frame) => {
      if (cutOn.has(frame.readInt32LE(8))) cut();
      else client.write(frame);
    });
    onFrames(client, (frame) => {
      const command = commandOf(frame);
      if (!rule || !command || !rule.isMeant(command)) return void database.write(frame);
      rule.met += 1;
      const { fate } = rule;
      if (fate === 'cut') cut();
      else if (fate === 'hold') held.add(() => database.write(frame));
      else if (fate === 'cut after') {
        cutOn.add(frame.readInt32LE(4));
        database.write(frame);
      } else client.write(errorReply(frame.readInt32LE(4), fate));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port, // a listening TCP server has an address object
    meet(fate, isMeant = () => true) {
      rule = fate && { fate, isMeant, met: 0 };
      if (fate !== undefined) return;
      for (const go of held) go();
      held.clear();
    },
    met: () => rule?.met ?? 0,
    async stop() {
      for (const cut of pairs) cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Whole messages, in their order. */
function onFrames(socket: Socket, take: (frame: Buffer) => void): void {
  let waiting: Buffer = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    waiting = waiting.length === 0 ? bytes : Buffer.concat([waiting, bytes]);
    while (waiting.length >= 4 && waiting.length >= waiting.readInt32LE(0)) {
      const length = waiting.readInt32LE(0);
      take(waiting.subarray(0, length));
      waiting = waiting.subarray(length);
    }
  });
}

/** The first element of a command's document is its name, and its value the collection. */
function commandOf(frame: Buffer): Command | undefined {
  if (frame.readInt32LE(12) !== OP_MSG || frame[BODY_AT - 1] !== 0) return undefined;
  const end = BODY_AT + frame.readInt32LE(BODY_AT);
  const document = BSON.deserialize(frame.subarray(BODY_AT, end), { promoteValues: false });
  const [name = '', value] = Object.entries(document)[0] ?? [];
  return { name, collection: String(value) };
}

function errorReply(requestId: number, fate: Exclude<Fate, string>): Buffer {
  const { code, codeName, labels } = fate;
  const document = BSON.serialize({ ok: 0, code, codeName, errmsg: codeName, ...(labels && { errorLabels: labels }) });
  const reply = Buffer.alloc(BODY_AT + document.length);
  reply.writeInt32LE(reply.length, 0);
  reply.writeInt32LE(requestId, 8);
  reply.writeInt32LE(OP_MSG, 12);
  reply.set(document, BODY_AT);
  return reply;
}
