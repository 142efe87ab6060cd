import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openModels } from '../../src/store/models.ts';
import { openPostgres, troubleOf } from '../../src/store/postgres.ts';

/** One message of PostgreSQL's protocol, version 3: type, length with itself, body. */
function message(type: string, body: string | Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(Buffer.byteLength(body) + length.length);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body)]);
}

const AUTHENTICATION_OK = message('R', Buffer.alloc(4));
const READY_FOR_QUERY = message('Z', 'I');
const GOING_DOWN = message('E', 'SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0');

let server: Server;
let url: string;
const sockets = new Set<Socket>();
beforeAll(async () => {
  server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    // It is ready, and it is gone, in one packet.
    socket.once('data', () => socket.end(Buffer.concat([AUTHENTICATION_OK, READY_FOR_QUERY, GOING_DOWN])));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  url = `postgres://anybody:secret@127.0.0.1:${(server.address() as AddressInfo).port}/ledger`;
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

const refusalOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no refusal',
    (error: unknown) => error,
  );

it('a database that goes away while a connection is handed over fails its work, not the process', async () => {
  const postgres = openPostgres({ url, poolSize: 2, acquireMs: 5000, onFault: () => undefined });
  const refusals = await Promise.all([
    refusalOf(postgres.query('SELECT 1')),
    refusalOf(postgres.transaction((query) => query('SELECT 1'))),
    refusalOf(postgres.snapshot((query) => query('SELECT 1'))),
    refusalOf(postgres.ping()),
  ]);
  expect(refusals.map(troubleOf)).toEqual(Array.from({ length: 4 }, () => 'unavailable'));
  await postgres.close();
});

it('the same holds for the connections of lists and reports', async () => {
  const { sequelize } = openModels({ url, poolSize: 1, acquireMs: 5000 });
  expect(await refusalOf(sequelize.query('SELECT 1'))).toBeInstanceOf(Error);
  await sequelize.close();
});
