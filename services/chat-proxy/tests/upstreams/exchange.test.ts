import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Agent } from 'undici';
import { agentFor } from '../../src/clients/upstream/connection.ts';
import { createTurns } from '../../src/clients/upstream/turns.ts';
import { UpstreamCall } from '../../src/clients/upstream/upstream-call.ts';
import { until } from '../fixtures/proxy.ts';

const MIB = 1024 * 1024;
const timeouts = { firstByteMs: 20_000, idleMs: 20_000, totalMs: 60_000 };
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function serverWith(answer: RequestListener) {
  let connections = 0;
  const server: Server = createServer((request, response) => {
    request.resume().once('end', () => answer(request, response));
  }).on('connection', () => {
    connections += 1;
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const agent = agentFor({ connections: 1, connectMs: 10_000, publicOnly: false });
  closers.push(async () => {
    await agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/answers?of=one`;
  const call = (signal = new AbortController().signal, by = agent) =>
    new UpstreamCall({ agent: by, url, method: 'POST', headers: {}, body: {}, signal, timeouts, turns: createTurns() });
  return { call, connections: () => connections };
}

/** Reads to the event that says that nothing follows, and no further. */
async function readToDone(call: UpstreamCall): Promise<string[]> {
  await call.open();
  const seen: string[] = [];
  for await (const events of call.events(() => true)) {
    seen.push(...events);
    if (seen.includes('[DONE]')) break;
  }
  return seen;
}

/** Asks as it does, and remembers the bodies. */
class Remembering extends Agent {
  readonly bodies: unknown[] = [];

  override dispatch(...[options, handler]: Parameters<Agent['dispatch']>): boolean {
    this.bodies.push(options.body);
    return super.dispatch(options, handler);
  }
}

describe('a question', () => {
  it('lies in memory of its own for as long as its answer takes, and keeps none that buffers share', async () => {
    const { call } = await serverWith((_request, response) => void response.end('data: [DONE]\n\n'));
    const agent = new Remembering({ connections: 1 });
    closers.push(() => agent.destroy());
    const one = call(undefined, agent);
    await readToDone(one);
    one.close(true);
    const [body] = agent.bodies;
    if (!(body instanceof Uint8Array)) throw new Error('the body is no bytes');
    expect(new TextDecoder().decode(body)).toBe('{}');
    expect(body.buffer.byteLength).toBe(body.length);
  });
});

describe('an answer that says that it is whole', () => {
  it('leaves its connection to the next one, though its last bytes come later', async () => {
    const ends: (() => unknown)[] = [];
    const { call, connections } = await serverWith((_request, response) => {
      response.setHeader('content-type', 'text/event-stream').write('data: Hi\n\ndata: [DONE]\n\n');
      ends.push(() => response.end());
    });
    for (let at = 0; at < 3; at += 1) {
      const one = call();
      expect(await readToDone(one)).toEqual(['Hi', '[DONE]']);
      one.close(true);
      ends[at]?.();
    }
    expect(connections()).toBe(1);
  });

  it('that goes on for long all the same does not keep its connection', async () => {
    const { call } = await serverWith((_request, response) => {
      response.setHeader('content-type', 'text/event-stream').write('data: [DONE]\n\n');
      response.once('close', () => closed.resolve('closed'));
      response.write(Buffer.alloc(MIB, ':'));
    });
    const closed = Promise.withResolvers<string>();
    const one = call();
    await readToDone(one);
    one.close(true);
    expect(await closed.promise).toBe('closed');
  });
});

describe('an answer that comes faster than it is read', () => {
  it.each(['in chunks', 'to the end of its connection'])('comes whole (%s)', async (how) => {
    const frame = `data: ${'x'.repeat(50_000)}\n\n`;
    const { call } = await serverWith((_request, response) => {
      response.useChunkedEncodingByDefault = how === 'in chunks';
      response.setHeader('content-type', 'text/event-stream').writeHead(200);
      response.end(frame.repeat(100));
    });
    const one = call();
    await one.open();
    let count = 0;
    for await (const events of one.events(() => true)) {
      count += events.length;
      await nextTurn();
    }
    one.close(true);
    expect(count).toBe(100);
  });
});

describe('an answer that is not read', () => {
  it('is not taken from its connection either, but for little', async () => {
    let written = 0;
    const { call } = await serverWith((_request, response) => {
      response.setHeader('content-type', 'text/event-stream').write('data: first\n\n');
      const fill = (): void => {
        while (written < 64 * MIB) {
          written += MIB;
          if (!response.write(Buffer.alloc(MIB, 'data: more\n\n'))) return void response.once('drain', fill);
        }
        response.end();
      };
      fill();
    });
    const one = call();
    await one.open();
    const events = one.events(() => true);
    await events.next();
    const seen = process.memoryUsage().arrayBuffers;
    let before = -1;
    // What fits into the buffers of both sockets has been written when nothing more is.
    await until(() => before === (before = written));
    expect(written).toBeLessThan(32 * MIB);
    expect(process.memoryUsage().arrayBuffers - seen).toBeLessThan(16 * MIB);
    await events.return();
    one.close(false);
  });
});

describe('an answer that is read slowly', () => {
  const FRAME = `data: ${'x'.repeat(1000)}\n\n`;
  const MOST_AHEAD = 256 * 1024;

  /** Bytes of every connection that is opened from now on. */
  function countArriving(): () => number {
    const sockets: Socket[] = [];
    const seen = (message: unknown): number => sockets.push((message as { socket: Socket }).socket);
    subscribe('net.client.socket', seen);
    closers.push(async () => unsubscribe('net.client.socket', seen));
    return () => sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }

  it('is taken from its connection no faster than it is read, however much of it there is', async () => {
    const { call } = await serverWith((_request, response) => {
      response.setHeader('content-type', 'text/event-stream');
      const fill = (): void => {
        while (response.write(FRAME));
        response.once('drain', fill);
      };
      fill();
    });
    const arrived = countArriving();
    const one = call();
    await one.open();
    let read = 0;
    let mostAhead = 0;
    for await (const events of one.events(() => true)) {
      read += events.length * FRAME.length;
      // What the connection wants meanwhile, it gets.
      for (let turn = 0; turn < 5; turn += 1) await nextTurn();
      mostAhead = Math.max(mostAhead, arrived() - read);
      if (read > 2 * MIB) break;
    }
    one.close(false);
    expect(mostAhead).toBeLessThan(MOST_AHEAD);
  });
});

describe('an answer that is ended from outside', () => {
  it('throws the reason where it is read, and gives nothing more', async () => {
    const { call } = await serverWith((_request, response) => {
      response.setHeader('content-type', 'text/event-stream').write('data: Hi\n\n');
    });
    const stop = new AbortController();
    const one = call(stop.signal);
    await one.open();
    const events = one.events(() => true);
    expect((await events.next()).value).toEqual(['Hi']);
    const next = events.next();
    const reason = new Error('enough');
    stop.abort(reason);
    await expect(next).rejects.toBe(reason);
    one.close(false);
  });

  it('throws the reason while it waits for a connection', async () => {
    const { call } = await serverWith(() => undefined);
    const [first, second] = [call(), new AbortController()];
    let isFree = false;
    const waiting = first
      .open()
      .catch(() => undefined)
      .then(() => {
        isFree = true;
      });
    const one = call(second.signal);
    const opened = one.open();
    const reason = new Error('enough');
    second.abort(reason);
    await expect(opened).rejects.toBe(reason);
    // Not only once it would have had its turn.
    expect(isFree).toBe(false);
    one.close(false);
    first.close(false);
    await waiting;
  });
});
