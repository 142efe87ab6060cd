import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChaosProxy, startChaosProxy } from '../src/chaos-proxy.ts';
import { startFakeOpenAi } from '../src/fakes/fake-openai.ts';
import { post } from './wire.ts';

let server: Server;
let proxy: ChaosProxy;
/** The connections that the echoing target has taken, and what it heard. */
let targets: Socket[];
let heard: string;

beforeEach(async () => {
  targets = [];
  heard = '';
  server = createServer({ allowHalfOpen: true }, (socket) => {
    targets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      heard += bytes;
    });
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await startChaosProxy({ target: (server.address() as AddressInfo).port });
});

afterEach(async () => {
  await proxy.stop();
  for (const socket of targets) socket.destroy();
  server.close();
});

async function open(): Promise<Socket> {
  const socket = connect(proxy.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Everything until the other side ends, with the size of each read. */
async function readAll(socket: Socket): Promise<{ text: string; sizes: number[] }> {
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part);
  return { text: Buffer.concat(parts).toString(), sizes: parts.map((part) => part.length) };
}

const codeOf = (socket: Socket) =>
  new Promise<string | undefined>((resolve) => {
    let code: string | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    socket.once('close', () => resolve(code));
  });

describe('the chaos proxy', () => {
  it('passes bytes and ends of both directions unchanged', async () => {
    const socket = await open();
    const text = 'ü'.repeat(200_000);
    socket.end(text);
    expect((await readAll(socket)).text).toBe(text);
    expect(heard.length).toBeGreaterThan(0);
  });

  it('delays each direction without slowing the flow', async () => {
    proxy.latency(30);
    const socket = await open();
    const start = performance.now();
    socket.write('a');
    socket.end('b'.repeat(300_000));
    const { text } = await readAll(socket);
    expect(text).toHaveLength(300_001);
    expect(performance.now() - start).toBeGreaterThanOrEqual(59);
  });

  it('limits the bandwidth', async () => {
    proxy.bandwidth(20_000);
    const socket = await open();
    const start = performance.now();
    socket.end('x'.repeat(4_000));
    expect((await readAll(socket)).text).toHaveLength(4_000);
    expect(performance.now() - start).toBeGreaterThanOrEqual(190);
  });

  it('cuts what passes into slices', async () => {
    proxy.slice(3);
    const socket = await open();
    socket.end('abcdefghij');
    const { text, sizes } = await readAll(socket);
    expect(text).toBe('abcdefghij');
    expect(Math.max(...sizes)).toBe(3);
  });

  it('resets open connections on both sides', async () => {
    const socket = await open();
    socket.write('x');
    await once(socket, 'data');
    const codes = Promise.all([codeOf(socket), codeOf(targets[0] as Socket)]);
    proxy.resetAll();
    expect(await codes).toEqual(['ECONNRESET', 'ECONNRESET']);
    expect(proxy.connections()).toBe(0);
  });

  it('resets after a number of bytes to the client', async () => {
    proxy.resetAfter(4);
    const socket = await open();
    const code = codeOf(socket);
    let seen = '';
    socket.on('data', (bytes) => {
      seen += bytes;
    });
    socket.write('abcdef');
    expect(await code).toBe('ECONNRESET');
    expect(seen).toBe('abcd');
  });

  it('swallows everything as a black hole, and passes again afterwards', async () => {
    const socket = await open();
    socket.write('before');
    await once(socket, 'data');
    proxy.blackhole(true);
    const silent = await open();
    silent.write('lost');
    socket.write('lost too');
    await proxy.untilSwallowed('lostlost too'.length);
    proxy.blackhole(false);
    proxy.resetAll();
    await codeOf(socket);
    expect(heard).toBe('before');
    const fresh = await open();
    fresh.end('after');
    expect((await readAll(fresh)).text).toBe('after');
  });

  it('refuses new connections while open ones go on', async () => {
    const socket = await open();
    await proxy.refuse(true);
    const refused = connect(proxy.port, '127.0.0.1');
    expect(await codeOf(refused)).toBe('ECONNREFUSED');
    socket.end('still here');
    expect((await readAll(socket)).text).toBe('still here');
    await proxy.refuse(false);
    const again = await open();
    again.end('again');
    expect((await readAll(again)).text).toBe('again');
  });

  it('stands before a service under the same URL', async () => {
    const fake = await startFakeOpenAi({ scenario: { tokens: 5, hangAfter: 2 } });
    const before = await startChaosProxy({ target: fake.url });
    expect(before.url).toBe(`http://127.0.0.1:${before.port}/v1`);
    const res = await post(`${before.url}/chat/completions`, {
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
    });
    await fake.untilSent(0, 2);
    res.body.destroy();
    expect(await fake.untilClosed(0)).toMatchObject({ by: 'client' }); // an end travels through
    await before.stop();
    await fake.stop();
  });

  it('resets the client when the target cannot be reached', async () => {
    const lonely = await startChaosProxy({ target: 1 });
    const socket = connect(lonely.port, '127.0.0.1');
    expect(await codeOf(socket)).toBe('ECONNRESET');
    await lonely.stop();
  });

  it('gives each of several targets its turn, and passes over one that refuses', async () => {
    const names = ['one', 'two'];
    const servers = names.map((name) => createServer((socket) => socket.end(name)));
    for (const each of servers) await once(each.listen(0, '127.0.0.1'), 'listening');
    const [first, second] = servers.map((each) => (each.address() as AddressInfo).port);
    const balancing = await startChaosProxy({ target: [1, first ?? 0, second ?? 0] });
    const texts: string[] = [];
    for (let turn = 0; turn < 6; turn += 1) {
      texts.push((await readAll(connect(balancing.port, '127.0.0.1'))).text);
    }
    expect(texts).toEqual(['one', 'one', 'two', 'one', 'one', 'two']);
    await balancing.stop();
    for (const each of servers) each.close();
  });
});
