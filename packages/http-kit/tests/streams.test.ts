import type { Server } from 'node:http';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AppError, type RequestContext, serve, type ServiceOptions, stream } from '../src/index.ts';
import {
  ADAPTERS,
  type Adapter,
  call,
  eventually,
  type Running,
  start,
  stopAll,
  untilAborted,
  type Wire,
  wire,
  within,
} from './kit.ts';
import { ping, tellStory } from './operations.ts';

afterAll(stopAll);

const GET = 'GET /api/story HTTP/1.1\r\nHost: x\r\n\r\n';
const FINAL_CHUNK = '0\r\n\r\n';
const PIECE = Buffer.alloc(65_536, 'x');

type Chunks = (context: RequestContext) => AsyncGenerator<string | Uint8Array>;

describe.each(ADAPTERS)('A stream of %s', (_name, adapter: Adapter) => {
  let service: Running;
  let finished: PromiseWithResolvers<string>;
  let reader: Wire;
  const failures = () => service.logger.lines.filter(({ level }) => level === 'error');

  async function tell(chunks: Chunks, options: Partial<ServiceOptions> = {}): Promise<void> {
    async function* observed(context: RequestContext) {
      try {
        yield* chunks(context);
      } finally {
        finished.resolve(context.signal.aborted ? 'client left' : 'not left');
      }
    }
    const route = serve(tellStory).with(async (_input, _caller, context) =>
      stream('text/event-stream', observed(context)),
    );
    service = await start(adapter, { routes: [route], ...options });
    reader = wire(service.port, GET);
  }

  beforeEach(() => {
    finished = Promise.withResolvers();
  });
  afterEach(() => {
    reader.socket.destroy();
  });

  it('arrives piece by piece, ends cleanly and leaves the connection for the next request', async () => {
    const go = Promise.withResolvers<void>();
    await tell(async function* () {
      yield 'data: 1\n\n';
      await go.promise;
      yield Buffer.from('data: 2\n\n');
    });
    expect(await reader.until('data: 1')).not.toContain('data: 2');
    go.resolve();
    expect(await reader.until(FINAL_CHUNK)).toContain('data: 2');
    expect(await finished.promise).toBe('not left');
    reader.socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    await reader.until('{"status":"ok"}');
  });

  it('that waits ends within a second of its client leaving, and nobody calls that a failure', async () => {
    await tell(async function* ({ signal }) {
      yield 'data: 1\n\n';
      await untilAborted(signal);
    });
    await reader.until('data: 1');
    reader.socket.destroy();
    expect(await within(15_000, finished.promise)).toBe('client left');
    await eventually(() => service.observed.length === 1);
    expect(failures()).toEqual([]);
  });

  it('that waits ends likewise when its client only closes its own side', async () => {
    await tell(async function* ({ signal }) {
      yield 'data: 1\n\n';
      await untilAborted(signal);
    });
    await reader.until('data: 1');
    reader.socket.end();
    expect(await within(15_000, finished.promise)).toBe('client left');
  });

  it('that yields for ever stops at the next piece after its client left', async () => {
    await tell(async function* () {
      for (;;) {
        yield 'data: again\n\n';
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    await reader.until('data: again');
    reader.socket.destroy();
    expect(await within(15_000, finished.promise)).toBe('client left');
  });

  it('waits for a slow reader instead of buffering, and ends when that reader leaves', async () => {
    let produced = 0;
    await tell(async function* () {
      for (;;) {
        produced += PIECE.length;
        yield PIECE;
      }
    });
    await reader.until('xxx');
    reader.socket.pause();
    await settled(() => produced);
    // The kernel's buffers of both ends take some megabytes; everything beyond would be ours.
    expect(produced).toBeLessThan(24 * 1024 * 1024);
    expect(service.server.listening).toBe(true);
    reader.socket.destroy();
    expect(await within(15_000, finished.promise)).toBe('client left');
    expect(failures()).toEqual([]);
  });

  it('takes the connection from a reader that stays and reads nothing', async () => {
    await tell(
      async function* () {
        for (;;) yield PIECE;
      },
      { stallMs: 200 },
    );
    reader.socket.pause();
    expect(await within(15_000, finished.promise)).toBe('client left');
    await untilNobodyIsConnected(service.server);
    expect(failures()).toEqual([]);
  });

  it('takes the connection likewise when the answer is complete but never read', async () => {
    await tell(
      async function* () {
        yield Buffer.alloc(32 * 1024 * 1024);
      },
      { stallMs: 200 },
    );
    reader.socket.pause();
    expect(await within(15_000, finished.promise)).toBe('client left');
    await untilNobodyIsConnected(service.server);
  });

  it('goes on where it was when a slow reader reads again', async () => {
    const pieces = 400;
    await tell(async function* () {
      for (let index = 0; index < pieces; index += 1) yield PIECE;
    });
    await reader.until('xxx');
    reader.socket.pause();
    await settled(() => reader.socket.bytesRead);
    reader.socket.resume();
    await finished.promise;
    const text = await reader.until(FINAL_CHUNK);
    expect(text.match(/x+/g)?.reduce((sum, run) => sum + run.length, 0)).toBeGreaterThanOrEqual(pieces * PIECE.length);
  });

  it('that fails midway is cut without the final chunk and logged once', async () => {
    await tell(async function* () {
      yield 'data: 1\n\n';
      throw new Error('the upstream broke');
    });
    const text = await within(15_000, reader.ended());
    expect(text).toContain('data: 1');
    expect(text).not.toContain(FINAL_CHUNK);
    expect(text).not.toContain('broke');
    expect(await finished.promise).toBe('not left');
    expect(failures()).toHaveLength(1);
    expect(failures()[0]?.fields).toMatchObject({
      code: 'INTERNAL',
      cause: expect.objectContaining({ message: 'the upstream broke' }),
    });
  });

  it('that fails for its own reasons after the client left is logged all the same', async () => {
    await tell(async function* ({ signal }) {
      yield 'data: 1\n\n';
      await untilAborted(signal).catch(() => undefined);
      throw new AppError('ACCOUNTING_UNAVAILABLE', 'the hold was not settled');
    });
    await reader.until('data: 1');
    reader.socket.destroy();
    await within(15_000, finished.promise);
    await eventually(() => failures().length === 1);
    expect(failures()[0]?.fields).toMatchObject({ code: 'ACCOUNTING_UNAVAILABLE', detail: 'the hold was not settled' });
  });

  it('refused before its first piece keeps the status of the refusal', async () => {
    const refusing = serve(tellStory).with(async () => {
      const parts = (async function* (): AsyncGenerator<string> {
        yield await Promise.reject(new AppError('INSUFFICIENT_CREDITS'));
      })();
      const { value } = await parts.next();
      return stream(
        'text/event-stream',
        (async function* () {
          yield String(value);
          yield* parts;
        })(),
      );
    });
    service = await start(adapter, { routes: [refusing] });
    const answer = await call(service, 'GET /api/story');
    expect(answer.json).toMatchObject({ status: 402, code: 'insufficient_credits' });
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  });

  it('that fails on its first piece after the headers were promised is cut, not answered twice', async () => {
    await tell(async function* (): AsyncGenerator<string> {
      yield await Promise.reject(new AppError('INSUFFICIENT_CREDITS'));
    });
    const text = await within(15_000, reader.ended());
    expect(text).not.toContain('HTTP/1.1 402');
    expect(text).not.toContain(FINAL_CHUNK);
  });

  it('or any answer: its handler learns that the client left while it works', async () => {
    const working = Promise.withResolvers<void>();
    const slow = serve(ping).with(async (_input, _caller, { signal }) => {
      working.resolve();
      await untilAborted(signal).catch((error: unknown) => {
        finished.resolve('told');
        throw error;
      });
      return { pong: 'never' };
    });
    service = await start(adapter, { routes: [slow] });
    reader = wire(service.port, 'GET /api/ping HTTP/1.1\r\nHost: x\r\n\r\n');
    await working.promise;
    reader.socket.destroy();
    expect(await within(15_000, finished.promise)).toBe('told');
    await eventually(() => service.observed.length === 1);
    expect(service.observed[0]).toMatchObject({ route: '/api/ping', status: 499 });
    expect(failures()).toEqual([]);
  });
});

/** Resolves when a number has stopped growing for a while. */
async function settled(look: () => number): Promise<void> {
  let last = -1;
  let quietSince = performance.now();
  await eventually(() => {
    if (look() !== last) quietSince = performance.now();
    last = look();
    return performance.now() - quietSince > 300;
  }, 10_000);
}

async function untilNobodyIsConnected(server: Server): Promise<void> {
  let connections = Infinity;
  const count = promisify(server.getConnections.bind(server));
  const end = performance.now() + 5000;
  while (connections > 0 && performance.now() < end) connections = await count();
  expect(connections).toBe(0);
}
