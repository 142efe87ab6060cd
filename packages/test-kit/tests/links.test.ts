import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { keptPorts } from '../src/platform/free-ports.ts';
import { heal, LINKS, type Links, type LinkTargets, startLinks } from '../src/platform/fleet/links.ts';

let target: number;
let links: Links;
beforeEach(async () => {
  [target = 0] = await keptPorts(1);
  links = await startLinks(Object.fromEntries(LINKS.map((name) => [name, [target]])) as unknown as LinkTargets);
});
afterEach(() => Promise.all(LINKS.map((name) => links[name].stop())));

/** Listens at the first port, and asks itself through the second, so many times side by side. */
const ASKING = `
  const { connect, createServer } = require('node:net');
  const [target, link, times] = process.argv.slice(1).map(Number);
  let left = times;
  createServer((socket) => socket.pipe(socket)).listen(target, '127.0.0.1', () => {
    for (let at = 0; at < times; at += 1) {
      const socket = connect(link, '127.0.0.1', () => socket.write('hello'));
      socket.once('data', () => (left -= 1) === 0 && process.exit(0));
    }
  });`;

it('a line takes and passes connections however busy the process is that disturbs it', () => {
  const { port } = links['clients-proxy'];
  // While this waits, not one turn of its own event loop passes.
  const { status, signal } = spawnSync(process.execPath, ['-e', ASKING, String(target), String(port), '200'], {
    timeout: 20_000,
  });
  expect({ status, signal }).toEqual({ status: 0, signal: null });
});

it('a line is disturbed in the order in which it is told to, and passes everything once it is healed', async () => {
  const link = links['proxy-mongo'];
  const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(target, '127.0.0.1');
  await once(server, 'listening');
  try {
    const open = await opened(link.port);
    // Connected is only that its thread may take it; what it has passed something for it has taken.
    await answered(open);
    link.blackhole(true);
    open.write('lost');
    const cut = new Promise((resolve) => open.once('close', resolve));
    link.resetAll();
    await cut;
    await link.refuse(true);
    await expect(opened(link.port)).rejects.toThrow('ECONNREFUSED');
    await heal(link);
    const whole = await opened(link.port);
    expect(await answered(whole)).toBe('hello');
    whole.destroy();
  } finally {
    await closed(server);
  }
});

async function opened(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  return socket;
}

async function answered(socket: Socket): Promise<string> {
  const heard = once(socket, 'data');
  socket.write('hello');
  return String(await heard);
}

const closed = (server: Server): Promise<unknown> => {
  const end = once(server, 'close');
  server.close();
  return end;
};
