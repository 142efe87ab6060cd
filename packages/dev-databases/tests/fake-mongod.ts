/**
 * Stands in for mongod where none can be had: takes the arguments, keeps its process id and replica set in the data
 * folder and answers what the start asks of it. `FAKE_MONGOD=fails` ends at once, like mongod on a foreign data folder.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { deserialize, serialize } from 'bson';
import type { Document } from 'bson';

import { createFrameReader, encodeReply, parseFrame } from '../src/documentdb-gateway/wire.ts';

if (process.argv.includes('--version')) {
  process.stdout.write('db version v8.0.4\nBuild Info: {}\n');
  process.exit(0);
}
if (process.env['FAKE_MONGOD'] === 'fails') process.exit(62);

const text = { type: 'string' } as const;
const { values } = parseArgs({ strict: false, options: { dbpath: text, port: text, bind_ip: text } });
const folder = String(values['dbpath']);
const files = { lock: join(folder, 'mongod.lock'), config: join(folder, 'config.json') };
writeFileSync(files.lock, `${process.pid}\n`);

const stored = (): Document | undefined => {
  try {
    return JSON.parse(readFileSync(files.config, 'utf8'));
  } catch {
    return undefined;
  }
};

const store = (config: Document): Document => {
  writeFileSync(files.config, JSON.stringify(config));
  return { ok: 1 };
};

function answer(command: Document): Document {
  const config = stored();
  const isMember = config?.['members'][0].host === `127.0.0.1:${values['port']}`;
  if (command['replSetInitiate']) {
    if (config) return { ok: 0, code: 23, codeName: 'AlreadyInitialized', errmsg: 'already initialized' };
    return store({ version: 1, ...command['replSetInitiate'] });
  }
  if (command['replSetGetConfig']) return { config, ok: 1 };
  if (command['replSetReconfig']) {
    return command['force'] === true
      ? store(command['replSetReconfig'])
      : { ok: 0, code: 10_107, errmsg: 'not primary' };
  }
  if (command['hello'] ?? command['ismaster']) {
    const set = isMember
      ? { setName: 'tollgate', hosts: [config?.['members'][0].host], isWritablePrimary: true }
      : { isreplicaset: true };
    return { ...set, ismaster: isMember, helloOk: true, maxWireVersion: 25, minWireVersion: 0, ok: 1 };
  }
  return { ok: 1 };
}

createServer((socket) => {
  const read = createFrameReader();
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    for (const frame of read(chunk)) {
      const message = parseFrame(frame);
      socket.write(encodeReply(message, serialize(answer(deserialize(message.body)))));
    }
  });
}).listen(Number(values['port']), String(values['bind_ip']));

process.once('SIGTERM', () => {
  writeFileSync(files.lock, '');
  process.exit(0);
});
