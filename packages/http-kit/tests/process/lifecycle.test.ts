import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Agent, request } from 'undici';
import { createClosers } from '../../src/index.ts';
import { call, eventually, memoryLogger, type Wire, wire, within } from '../kit.ts';

interface Event {
  readonly event: string;
  readonly port?: number;
  readonly resource?: string;
}

interface Process {
  readonly child: ChildProcess;
  readonly url: string;
  readonly port: number;
  readonly events: Event[];
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>;
  /** Resolves when it has said this. */
  readonly said: (event: string) => Promise<Event>;
}

const BURST = 1000;
const SOMAXCONN = '/proc/sys/net/core/somaxconn';
const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
});

interface Manner {
  readonly acceptMs?: number;
  readonly drainMs?: number;
  readonly fault?: string;
}

/** Until it listens. */
async function launch(framework: string, manner: Manner = {}): Promise<Process> {
  const service = spawnService(framework, manner);
  const { port = 0 } = await service.said('ready');
  return { ...service, url: `http://127.0.0.1:${port}`, port };
}

function spawnService(framework: string, { acceptMs = 0, drainMs = 2000, fault = '' }: Manner): Process {
  const file = join(import.meta.dirname, '..', 'fixtures', 'service.ts');
  const child = spawn(
    process.execPath,
    ['--conditions=tollgate', file, framework, String(acceptMs), String(drainMs), fault],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  children.add(child);
  const events: Event[] = [];
  const exited = Promise.withResolvers<number | null>();
  const change = new EventEmitter();
  createInterface({ input: child.stdout }).on('line', (line) => {
    events.push(JSON.parse(line) as Event);
    change.emit('line');
  });
  child.once('close', (code) => {
    exited.resolve(code);
    change.emit('line');
  });
  const said = async (name: string): Promise<Event> => {
    for (;;) {
      const found = events.find(({ event }) => event === name);
      if (found) return found;
      if (child.exitCode !== null) throw new Error(`the service ended with ${child.exitCode} and never said ${name}`);
      await once(change, 'line');
    }
  };
  return { child, url: '', port: 0, events, exited: exited.promise, said };
}

const listenTo = (service: Process, count: number): Wire =>
  wire(service.port, `GET /api/ticks/${count} HTTP/1.1\r\nHost: x\r\n\r\n`);
const names = (service: Process): string[] => service.events.map(({ event }) => event);

describe.each(['Express', 'Fastify'])('A service on %s that is told to stop', (framework) => {
  it('does not wait for connections on which nothing was ever asked', async () => {
    const service = await launch(framework, { drainMs: 30_000 });
    const silent = wire(service.port);
    await eventually(() => silent.socket.readyState === 'open');
    // Answered, so that the silent one, which came before, has been taken as well.
    expect((await call(service, 'GET /health')).status).toBe(200);
    service.child.kill('SIGTERM');
    await silent.ended();
    expect(await service.exited).toBe(0);
  });

  it('says so while it still accepts, finishes what runs, closes in reverse and exits with 0', async () => {
    const service = await launch(framework, { acceptMs: 400 });
    const idle = new Agent({ keepAliveTimeout: 60_000 });
    const ping = () => request(`${service.url}/health/ready`, { dispatcher: idle });
    expect((await ping()).statusCode).toBe(200);
    const story = listenTo(service, 60);
    await story.until('tick 1\n');
    const began = performance.now();
    service.child.kill('SIGTERM');
    await service.said('stopping');
    const ready = await call(service, 'GET /health/ready');
    expect([ready.status, ready.json['status']]).toEqual([503, 'draining']);
    expect((await call(service, 'GET /health/live')).status).toBe(200);
    expect(await story.until('0\r\n\r\n')).toContain('end of story');
    expect(await within(15_000, service.exited)).toBe(0);
    expect(performance.now() - began).toBeLessThan(15_000);
    const closing = service.events.filter(({ event, resource }) => event.includes('closed') || resource !== undefined);
    expect(closing).toMatchObject([
      { event: 'last opened, first closed' },
      { event: 'resource did not close cleanly', resource: 'broken' },
      { event: 'database closed' },
    ]);
    expect(names(service).at(-1)).toBe('stopped');
    await idle.destroy();
  });

  it('does not wait for a connection that was answered and kept open', async () => {
    const service = await launch(framework, { drainMs: 30_000 });
    const story = listenTo(service, 10);
    await story.until('tick 1\n');
    const began = performance.now();
    service.child.kill('SIGTERM');
    expect(await story.until('0\r\n\r\n')).toContain('end of story');
    expect(await within(15_000, service.exited)).toBe(0);
    expect(performance.now() - began).toBeLessThan(15_000);
  });

  it('accepts nothing new once it drains, and tells answers that take too long to end', async () => {
    const service = await launch(framework, { drainMs: 500 });
    const story = listenTo(service, 100_000);
    await story.until('tick 1\n');
    service.child.kill('SIGTERM');
    await service.said('stopping');
    await expect(call(service, 'GET /health/live')).rejects.toMatchObject({
      code: expect.stringMatching(/ECONNREFUSED|UND_ERR_SOCKET|ECONNRESET/),
    });
    expect(await story.until('0\r\n\r\n')).toContain('server_shutdown');
    expect(await within(15_000, service.exited)).toBe(0);
  });
});

describe('A service that is told to stop', () => {
  it('twice tells its answers at once, notes how far they are, closes and exits with 0', async () => {
    const service = await launch('Fastify', { acceptMs: 20_000, drainMs: 30_000 });
    const story = listenTo(service, 100_000);
    await story.until('tick 1\n');
    service.child.kill('SIGTERM');
    await service.said('stopping');
    service.child.kill('SIGINT');
    expect(await story.until('0\r\n\r\n')).toContain('server_shutdown');
    expect(await service.exited).toBe(0);
    expect(names(service)).toEqual(expect.arrayContaining(['stopping at once', 'checkpoint', 'database closed']));
  });

  it('twice does not wait for answers that do not hear it', async () => {
    const service = await launch('Express', { drainMs: 60_000, fault: 'deaf' });
    const story = listenTo(service, 100_000);
    await story.until('tick 1\n');
    service.child.kill('SIGTERM');
    await service.said('stopping');
    service.child.kill('SIGTERM');
    await story.ended();
    expect(await service.exited).toBe(0);
    expect(names(service)).toEqual(expect.arrayContaining(['checkpoint', 'database closed']));
  });

  it('ends connections that are no HTTP any more and do not close', async () => {
    const service = await launch('Express', { fault: 'upgrade', drainMs: 100 });
    const upgraded = wire(service.port, 'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n');
    await upgraded.until('101');
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(0);
  });

  it('while it is being built exits at once with 0', async () => {
    const service = spawnService('Express', { fault: 'slow-build' });
    await service.said('building');
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(0);
  });

  it('while it starts breaks that off, closes and exits with 0', async () => {
    const service = spawnService('Express', { fault: 'slow-start' });
    await service.said('starting');
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(0);
    expect(names(service)).toEqual(expect.arrayContaining(['start broken off', 'database closed', 'stopped']));
    expect(names(service)).not.toContain('stopping after an error nobody handled');
  });
});

/** Of the system; where it says nothing, connections that wait are too few for this. */
const mayWait = existsSync(SOMAXCONN) ? Number(readFileSync(SOMAXCONN, 'utf8')) : 0;

(mayWait < BURST ? describe.skip : describe)('A service that is busy', () => {
  it('refuses no connection of a burst', async () => {
    const service = await launch('Express');
    // Nothing is busier than a process that does not run; the system goes on taking connections for it.
    service.child.kill('SIGSTOP');
    const wires = Array.from({ length: BURST }, () => wire(service.port));
    try {
      await eventually(() => wires.every(({ socket }) => socket.readyState === 'open'), 30_000);
      service.child.kill('SIGCONT');
      expect((await call(service, 'GET /health')).status).toBe(200);
    } finally {
      for (const { socket } of wires) socket.destroy();
    }
  });
});

describe('A service', () => {
  it('ends in spite of a resource that never closes', async () => {
    const service = await launch('Express', { fault: 'hang' });
    service.child.kill('SIGTERM');
    expect(await within(15_000, service.exited)).toBe(0);
    expect(service.events).toContainEqual(
      expect.objectContaining({ event: 'resource did not close cleanly', resource: 'hanging' }),
    );
    expect(names(service)).toContain('database closed');
  });

  it('stops in order, with exit code 1, after an error that nobody handled', async () => {
    const service = await launch('Express');
    await call(service, 'GET /api/crash').catch(() => undefined);
    expect(await within(15_000, service.exited)).toBe(1);
    expect(names(service)).toEqual(
      expect.arrayContaining(['stopping after an error nobody handled', 'database closed']),
    );
  });

  it('answers headers over the limit like every other refusal', async () => {
    const service = await launch('Express');
    const answer = await wire(
      service.port,
      `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`,
    ).ended();
    expect(answer).toMatch(/^HTTP\/1\.1 431 [^]*"code":"headers_too_large"/);
  });
});

describe('Closers', () => {
  it('close in reverse, each one once, and report what fails without stopping', async () => {
    const logger = memoryLogger();
    const closers = createClosers(logger);
    const order: string[] = [];
    const pool = closers.add('pool', { close: async () => order.push('pool') });
    closers.addClose('throws', () => {
      throw new Error('no');
    });
    closers.addClose('rejects', () => Promise.reject(new Error('no')));
    closers.addClose('last', () => order.push('last'));
    await closers.closeAll();
    await closers.closeAll();
    expect(order).toEqual(['last', 'pool']);
    expect(logger.lines.map(({ level, fields }) => [level, fields?.['resource']])).toEqual([
      ['warn', 'rejects'],
      ['warn', 'throws'],
    ]);
    expect(pool.close).toBeInstanceOf(Function);
  });

  it('give up on what hangs and still close the rest within the deadline', async () => {
    const logger = memoryLogger();
    const closers = createClosers(logger);
    const order: string[] = [];
    closers.addClose('first', () => order.push('first'));
    closers.addClose('hangs', () => new Promise(() => undefined));
    await within(15_000, closers.closeAll(150));
    expect(order).toEqual(['first']);
    expect(logger.lines.map(({ fields }) => fields?.['resource'])).toEqual(['hangs']);
  });
});
