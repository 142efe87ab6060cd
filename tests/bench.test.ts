import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { eventually } from '@tollgate/test-kit';
import { upstreamCall } from '../scripts/bench/load/columns.ts';
import { httpAsk, openAgent } from '../scripts/bench/load/http-ask.ts';
import { createStreams } from '../scripts/bench/load/idle-streams.ts';
import { type Measured, ratio } from '../scripts/bench/report/measured.ts';
import { readArguments } from '../scripts/bench/report/arguments.ts';
import { columnTable } from '../scripts/bench/report/column-table.ts';
import { bestOf, countOf, type Guarded, needsAnotherTry, verdictOf } from '../scripts/bench/report/guard-verdict.ts';
import { judged } from '../scripts/bench/report/section.ts';
import { median, quantile } from '../scripts/bench/report/statistics.ts';
import { readmeTable, reportOf, shortTable, tableOf } from '../scripts/bench/report/write-report.ts';
import { CHUNKS } from '../scripts/bench/programs/wire.ts';
import { createClosers } from '../scripts/bench/stage/closers.ts';
import { startProgram } from '../scripts/bench/stage/program.ts';

const BENCHES = ['streamed', 'ledger'];
const measured = (name: string, perSecond: number[]): Measured => ({
  name,
  perSecond,
  p50: 1.24,
  p99: 9.96,
  firstByteP50: 1,
  firstByteP99: 2,
  answers: perSecond.length * 1000,
  pieces: 20,
  faults: 0,
  cpuMicroseconds: new Map([['proxy', 812.4]]),
  residentBytes: new Map([['proxy', 3 * 1_048_576]]),
});

describe('figures of the bench', () => {
  it('has a median between the two in the middle, and none of nothing', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it('has quantiles within the values, whatever their order', () => {
    const values = Array.from({ length: 100 }, (_, at) => 100 - at);
    expect(quantile(values, 0.5)).toBe(51);
    expect(quantile(values, 0.99)).toBe(100);
    expect(quantile(values, 1)).toBe(100);
    expect(quantile([], 0.5)).toBeNaN();
  });

  it('compares the rounds with one another, so that one bad round of both changes nothing', () => {
    expect(ratio(measured('ours', [50, 5, 60]), measured('floor', [100, 10, 100]))).toBe(0.5);
  });

  it('judges by the bound, and nothing that was not measured', () => {
    expect(judged(0.75, { least: 0.75 })).toBe('met');
    expect(judged(0.74, { least: 0.75 })).toBe('missed');
    expect(judged(20.1, { most: 20 })).toBe('missed');
    expect(judged(Number.NaN, { most: 20 })).toBe('not measured: no figure');
  });
});

describe('the report of the bench', () => {
  it('has one row for each target, with figure, ratio and verdict', () => {
    const finding = { figure: 'a', target: '≥ 1', measured: '2/s', ratio: '2.00', verdict: 'met' } as const;
    const report = reportOf({
      command: 'pnpm bench',
      about: ['quiet'],
      seconds: 3,
      sections: [['streamed', { findings: [finding], tables: [], notes: ['a note'] }]],
    });
    expect(report).toContain('Written by `pnpm bench` in 3 s.');
    expect(report).toContain('| streamed | a | ≥ 1 | 2/s | 2.00 | met |');
    expect(report).toContain('a note');
  });

  it('keeps a bar inside a cell out of the table', () => {
    expect(tableOf({ title: 't', head: ['h'], rows: [['a|b']] })).toContain('| a\\|b |');
  });

  it('puts into one short table what a README needs, with a gap for what was not measured', () => {
    const floor = { who: 'floor', rate: 1755.4, ofFloor: 1 };
    const table = shortTable([
      { what: 'streamed', perSecond: [floor, { who: 'ours', rate: 1400, ofFloor: 0.8 }] },
      { what: 'JSON', perSecond: [floor] },
    ]);
    expect(table.head).toEqual(['request', 'floor', 'ours']);
    expect(table.rows).toEqual([
      ['streamed', '1,755 (1.00)', '1,400 (0.80)'],
      ['JSON', '1,755 (1.00)', '-'],
    ]);
  });

  it('gives the table of a README out of a report that was written before, and nothing else of it', () => {
    const short = [{ what: 'streamed', perSecond: [{ who: 'floor', rate: 1755, ofFloor: 1 }] }];
    const other = { title: 'streamed, openai', head: ['column'], rows: [['ours']] };
    const sections = [['streamed', { findings: [], tables: [other], short }]] as const;
    const report = reportOf({ command: 'pnpm bench', about: ['8 cores (fast)'], seconds: 1, sections });
    expect(readmeTable(report, 'r.md')).toContain('on 8 cores, and');
    expect(readmeTable(report, 'docs/reports/r.md')).toMatch(
      /\[all figures\]\(docs\/reports\/r\.md\)\):\n\n\| request \| floor \|\n\|---\|---\|\n\| streamed \| 1,755 \(1\.00\) \|\n$/,
    );
    expect(() => readmeTable('# Bench', 'r.md')).toThrow('r.md has no table');
  });

  it('shows every column beside the first', () => {
    const { rows } = columnTable('t', [measured('floor', [100]), measured('ours', [75])]);
    expect(rows[1]?.slice(0, 5)).toEqual(['ours', '75', '0.75', '1.2', '10.0']);
    expect(rows[1]).toContain('proxy 812');
    expect(rows[1]).toContain('proxy 3');
  });
});

describe('arguments of the bench', () => {
  it('measures everything, and shorter when that is asked for', () => {
    expect(readArguments([], BENCHES)).toEqual({
      quick: false,
      names: [],
      report: undefined,
      table: undefined,
      rounds: 3,
      seconds: 4,
    });
    expect(readArguments(['--quick', 'ledger'], BENCHES)).toMatchObject({ quick: true, names: ['ledger'], seconds: 2 });
  });

  it('refuses a bench that is not there, and numbers out of bounds', () => {
    expect(() => readArguments(['none'], BENCHES)).toThrow('there is no bench none; there are streamed, ledger');
    for (const rounds of ['0', '21', 'many'])
      expect(() => readArguments(['--rounds', rounds], BENCHES)).toThrow('--rounds');
    expect(() => readArguments(['--seconds', '61'], BENCHES)).toThrow('--seconds');
  });
});

describe('the AI server of the bench', () => {
  it('sends each of its twenty chunks by itself, in both wires', async () => {
    const upstream = await startProgram('upstream');
    const agent = openAgent(1);
    try {
      for (const wire of ['openai', 'flowise'] as const) {
        const call = upstreamCall(upstream.url, wire, { shape: 'streamed' });
        let most = 0;
        // A reader that is late meets two of them at once: what was sent apart is seen as soon as it is in time.
        for (let asked = 0; most < CHUNKS && asked < 500; asked += 1) {
          const { pieces, fault } = await httpAsk(agent, call);
          expect(fault).toBeUndefined();
          most = Math.max(most, pieces);
        }
        expect(most).toBe(CHUNKS);
      }
      const { pieces } = await httpAsk(agent, upstreamCall(upstream.url, 'openai', { shape: 'JSON' }));
      expect(pieces).toBe(1);
    } finally {
      await agent.close();
      await upstream.stop();
    }
  });
});

describe('idle streams', () => {
  it('count as open only while they are: one that ends by itself is a fault, one that is closed is none', async () => {
    const answers: ServerResponse[] = [];
    const server = createServer((_request, response) => {
      answers.push(response);
      response.write('it begins');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const streams = createStreams(() => ({ origin, path: '/', headers: {}, body: '{}', good: '' }));
    try {
      await streams.open(3, { atOnce: 1, limitMs: 30_000 });
      expect([streams.count(), streams.faults()]).toEqual([3, 0]);
      answers[0]?.end();
      answers[1]?.destroy();
      await eventually(async () => streams.count() === 1 || undefined, 'two of them end');
      expect(streams.faults()).toBe(2);
      streams.closeAll();
      await eventually(async () => answers.every(({ destroyed }) => destroyed) || undefined, 'the last is closed');
      expect([streams.count(), streams.faults()]).toEqual([0, 2]);
    } finally {
      streams.closeAll();
      server.close();
    }
  });
});

describe('the guard of the bench', () => {
  const one = (over: Partial<Guarded> = {}): Guarded => ({
    name: 'streamed',
    ratio: 0.5,
    least: 0.2,
    compared: 1000,
    faults: 0,
    ...over,
  });

  it('fails for a ratio below its floor and for faulty answers', () => {
    expect(verdictOf(one())).toBe('passed');
    expect(verdictOf(one({ ratio: 0.19 }))).toBe('failed');
    expect(verdictOf(one({ ratio: Number.NaN }))).toBe('failed');
    expect(verdictOf(one({ faults: 1 }))).toBe('failed');
  });

  it('does not judge what a machine was too busy to measure', () => {
    expect(verdictOf(one({ ratio: 0.01, compared: 99 }))).toBe('not judged');
    expect(countOf([one({ ratio: 0.01, compared: 99 })])).toEqual({ passed: 0, failed: 0 });
  });

  it('tries again when a ratio is too low, and counts one failure when it stays so', () => {
    const low = one({ ratio: 0.1 });
    expect(needsAnotherTry([one(), low])).toBe(true);
    expect(countOf(bestOf([low], [one()]))).toEqual({ passed: 1, failed: 0 });
    expect(countOf(bestOf([low], [low]))).toEqual({ passed: 0, failed: 1 });
    expect(countOf(bestOf([one()], [low]))).toEqual({ passed: 1, failed: 0 });
  });
});

describe('what the bench has started', () => {
  it('ends the newest first, and everything although something fails to end', async () => {
    const ended: string[] = [];
    const said: string[] = [];
    const closers = createClosers((text) => void said.push(text));
    closers.add(async () => ended.push('database'));
    closers.add(() => Promise.reject(new Error('stuck')));
    closers.add(async () => ended.push('proxy'));
    await Promise.all([closers.close(), closers.close()]);
    expect(ended).toEqual(['proxy', 'database']);
    expect(said).toEqual(['could not be ended: Error: stuck']);
  });
});
