import { describe, expect, it } from '@jest/globals';
import { createHealth } from '../src/index.ts';
import { eventually, within } from './kit.ts';

const never = () => new Promise<never>(() => undefined);

describe('Readiness', () => {
  it('waits for a check no longer than its deadline, and for all of them together', async () => {
    const health = createHealth({
      service: 'x',
      timeoutMs: 60,
      checks: { slow: never, slower: never, fine: async () => 1 },
    });
    await expect(within(15_000, health.ready())).resolves.toEqual({
      ready: false,
      status: 'unavailable',
      checks: { slow: 'failed', slower: 'failed', fine: 'ok' },
    });
  });

  it('survives a check that throws at once', async () => {
    const broken = () => {
      throw new Error('not even a promise');
    };
    const health = createHealth({ service: 'x', checks: { broken } });
    await expect(health.ready()).resolves.toMatchObject({ ready: false, checks: { broken: 'failed' } });
  });

  it('asks once for many probes at a time, and again when the result is old', async () => {
    let asked = 0;
    const check = async () => {
      asked += 1;
    };
    const fresh = createHealth({ service: 'x', checks: { check }, freshMs: 60_000 });
    await Promise.all(Array.from({ length: 50 }, () => fresh.ready()));
    expect(asked).toBe(1);
    const stale = createHealth({ service: 'x', checks: { check }, freshMs: 0 });
    await stale.ready();
    await new Promise((resolve) => setImmediate(resolve));
    await stale.ready();
    expect(asked).toBe(3);
  });

  it('believes a bad result for a moment only, however long a good one is good for', async () => {
    let asked = 0;
    const check = async () => {
      asked += 1;
      if (asked === 1) throw new Error('not yet');
    };
    const health = createHealth({ service: 'x', checks: { check }, freshMs: 3_600_000 });
    const seen = await Promise.all(Array.from({ length: 50 }, () => health.ready()));
    expect([seen.filter(({ ready }) => ready).length, asked]).toEqual([0, 1]);
    let isReady = false;
    const look = () => {
      void health.ready().then(({ ready }) => {
        isReady ||= ready;
      });
      return isReady;
    };
    await eventually(look, 60_000);
    expect(asked).toBe(2);
  });

  it('is over from the moment of draining, even with a fresh good result', async () => {
    const health = createHealth({
      service: 'x',
      version: '1.0.0',
      checks: { fine: async () => undefined },
      freshMs: 60_000,
    });
    await expect(health.ready()).resolves.toMatchObject({ ready: true, status: 'ready' });
    health.drain();
    await expect(health.ready()).resolves.toMatchObject({ ready: false, status: 'draining', checks: { fine: 'ok' } });
    expect(health.live()).toEqual({ status: 'ok' });
    expect(health.summary()).toMatchObject({ version: '1.0.0' });
  });
});
