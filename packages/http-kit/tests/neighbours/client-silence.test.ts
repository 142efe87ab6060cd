import { createServer, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createClient, mayHaveBeenApplied } from '../../src/client.ts';
import { AppError } from '../../src/index.ts';
import { alice, eventually, listen, stop, within } from '../kit.ts';
import {
  closeLater,
  json,
  leaveNeighbours,
  neighbour,
  operations,
  paid,
  payment,
  problem,
  refusalOf,
  reset,
  silence,
} from './neighbour.ts';

afterEach(leaveNeighbours);

describe('A neighbour that does not answer', () => {
  it('is given up at the deadline, twice for a GET, with a 503 that says when to come back', async () => {
    const { client, visits } = await neighbour(silence, { timeoutMs: 1200, onUnavailable: 'ACCOUNTING_UNAVAILABLE' });
    const began = performance.now();
    const refusal = await refusalOf(client.ping());
    expect(refusal).toMatchObject({ code: 'ACCOUNTING_UNAVAILABLE', status: 503, headers: { 'retry-after': '2' } });
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(visits).toHaveLength(2);
  });

  it('is given up at the deadline too when the answer begins and never ends', async () => {
    const { client } = await neighbour((response) => response.writeHead(200).write('{"pong":'));
    expect(await within(15_000, refusalOf(client.ping(undefined, { timeoutMs: 100 })))).toMatchObject({
      code: 'DEPENDENCY_UNAVAILABLE',
    });
  });

  it('is given up at the deadline by a call that waits for a connection, which it then never sees', async () => {
    const waiting: ServerResponse[] = [];
    const { client, visits } = await neighbour((response) => waiting.push(response), { connections: 1 });
    const first = client.ping(undefined, { timeoutMs: 60_000 });
    await eventually(() => visits.length === 1, 15_000);
    const second = refusalOf(client.echo({ body: 2 }, { timeoutMs: 50 }));
    expect(await within(15_000, second)).toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
    waiting[0]?.writeHead(200, { 'content-type': 'application/json' }).end('{"pong":"pong"}');
    await expect(first).resolves.toEqual({ pong: 'pong' });
    const third = client.ping();
    await eventually(() => visits.length > 1, 15_000);
    waiting[1]?.writeHead(200, { 'content-type': 'application/json' }).end('{"pong":"pong"}');
    await expect(third).resolves.toEqual({ pong: 'pong' });
    expect(visits.map(({ line }) => line)).toEqual(['GET /api/ping', 'GET /api/ping']);
  });

  it('is asked once more with the same key, and that answer counts', async () => {
    const { client, visits } = await neighbour((response, attempt) =>
      (attempt === 1 ? reset : paid)(response, attempt),
    );
    await expect(client.payThing(payment, { idempotencyKey: 'k1' })).resolves.toMatchObject({ payer: alice });
    expect(visits.map(({ headers, body }) => [headers['idempotency-key'], body])).toEqual([
      ['k1', '{"amount":5}'],
      ['k1', '{"amount":5}'],
    ]);
  });

  it('is cut off when its answer has no end', async () => {
    const { client } = await neighbour((response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(1_048_576)));
      };
      response.writeHead(200).on('drain', more);
      more();
    });
    expect(await within(15_000, refusalOf(client.echo({ body: 1 })))).toMatchObject({
      code: 'DEPENDENCY_UNAVAILABLE',
      cause: { message: 'the answer is too large' },
    });
  });

  it('is asked no second time for what might then happen twice', async () => {
    const { client, visits } = await neighbour(reset);
    expect(await refusalOf(client.echo({ body: 1 }))).toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
    expect(visits).toHaveLength(1);
  });

  it('is asked no third time', async () => {
    const { client, visits } = await neighbour(problem(503, 'storage_full'));
    expect(await refusalOf(client.ping())).toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' });
    expect(visits).toHaveLength(2);
  });

  it('and does not even listen is unavailable at once', async () => {
    const server = createServer();
    const port = await listen(server);
    await stop(server);
    const client = createClient(operations, {
      baseUrl: `http://127.0.0.1:${port}`,
      timeoutMs: 2000,
      onUnavailable: 'ACCOUNTING_UNAVAILABLE',
    });
    closeLater(() => client.close());
    const refusal = await within(15_000, refusalOf(client.ping()));
    expect(refusal).toMatchObject({ code: 'ACCOUNTING_UNAVAILABLE', headers: { 'retry-after': '2' } });
    expect(refusal.cause).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('is left when the caller of the call leaves, without blame and without a second try', async () => {
    const leaving = new AbortController();
    const { client, visits } = await neighbour(() => leaving.abort());
    const refusal = await within(15_000, refusalOf(client.ping(undefined, { signal: leaving.signal })));
    expect(refusal).toMatchObject({ name: 'AbortError' });
    expect(refusal).not.toBeInstanceOf(AppError);
    expect(visits).toHaveLength(1);
  });
});

describe('The effect of a call that failed', () => {
  const pay = (client: Awaited<ReturnType<typeof neighbour>>['client']) =>
    refusalOf(client.payThing(payment, { idempotencyKey: 'k1', timeoutMs: 300 }));

  it('is none when the neighbour refused the only attempt', async () => {
    const { client } = await neighbour(problem(404, 'not_found'));
    expect(mayHaveBeenApplied(await pay(client))).toBe(false);
  });

  it('is unknown when the refusal answers a second attempt after a silent first', async () => {
    const { client, visits } = await neighbour((response, attempt) =>
      (attempt === 1 ? silence : problem(404, 'not_found'))(response, attempt),
    );
    const refusal = await pay(client);
    expect(refusal.code).toBe('NOT_FOUND');
    expect(visits).toHaveLength(2);
    expect(mayHaveBeenApplied(refusal)).toBe(true);
  });

  it.each([
    ['nobody answers', silence],
    ['the connection breaks', reset],
    ['the neighbour fails', problem(500, 'internal')],
    ['the answer is a success nobody can read', json(201, { unreadable: true })],
  ])('is unknown when %s', async (_what, script) => {
    const { client } = await neighbour(script);
    expect(mayHaveBeenApplied(await pay(client))).toBe(true);
  });

  it('is none when nobody listens', async () => {
    const server = createServer();
    const port = await listen(server);
    await stop(server);
    const client = createClient(operations, { baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 500 });
    closeLater(() => client.close());
    expect(mayHaveBeenApplied(await pay(client))).toBe(false);
  });
});

it('spends one time on both attempts together', async () => {
  const { client, visits } = await neighbour(silence, { timeoutMs: 3000 });
  const began = performance.now();
  await refusalOf(client.ping());
  const elapsed = performance.now() - began;
  expect(visits).toHaveLength(2);
  expect(elapsed).toBeGreaterThan(2900);
  expect(elapsed).toBeLessThan(5900);
});
