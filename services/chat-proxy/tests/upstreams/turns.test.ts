import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Agent } from 'undici';
import { createTurns, type Turns } from '../../src/clients/upstream/turns.ts';
import { UpstreamCall } from '../../src/clients/upstream/upstream-call.ts';

const KIB = 1024;

describe('answers that come in at once', () => {
  it('are read 64 KiB a turn of the event loop, first come, first served, and a larger piece as a turn of its own', async () => {
    let turn = (): void => undefined;
    const turns = createTurns((work) => {
      turn = work;
    });
    const seen: number[] = [];
    const ask = (bytes: number, name: number) => {
      const wait = turns.take(bytes);
      if (wait) void wait.then(() => seen.push(name));
      else seen.push(name);
    };
    ask(40 * KIB, 1);
    ask(40 * KIB, 2); // what is left is less, but a piece is never cut
    ask(1, 3);
    ask(200 * KIB, 4);
    ask(1, 5);
    ask(64 * KIB, 6);
    ask(1, 7);
    const turnsSeen: number[][] = [];
    for (let at = 0; at < 5; at += 1) {
      await Promise.resolve();
      turnsSeen.push(seen.splice(0));
      turn();
    }
    expect(turnsSeen).toEqual([[1, 2], [3, 4], [5, 6], [7], []]);
    ask(1, 8);
    expect(seen).toEqual([8]);
  });
});

describe('an answer whose turn has not come', () => {
  let sendRest = (): unknown => undefined;
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'text/event-stream').write('data: one\n\n');
    sendRest = () => response.end('data: two\n\n');
  });
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    // Only what measures silence: the rest is real.
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'clearImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
  });
  afterAll(() => {
    jest.useRealTimers();
    server.close();
  });

  it('is not read, and that is no silence of its server', async () => {
    const come = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const turns: Turns = {
      take() {
        come.resolve();
        return released.promise;
      },
    };
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const agent = new Agent();
    const { signal } = new AbortController();
    const timeouts = { firstByteMs: 5000, idleMs: 5000, totalMs: 60_000 };
    const call = new UpstreamCall({ agent, url, method: 'GET', headers: {}, signal, timeouts, turns });
    await call.open();
    const seen: string[] = [];
    const read = (async () => {
      for await (const events of call.events(() => true)) seen.push(...events);
    })();
    await come.promise;
    jest.advanceTimersByTime(30_000);
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    expect(seen).toEqual([]);
    released.resolve();
    sendRest();
    await read;
    expect(seen).toEqual(['one', 'two']);
    call.close(true);
    await agent.destroy();
  });
});
