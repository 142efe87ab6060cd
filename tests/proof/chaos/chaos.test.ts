import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callJson } from '@tollgate/test-kit';
import { gather } from './facts.ts';
import { targetOf } from './fault-plan.ts';
import { FLOORS } from './floor.ts';
import { createHistory } from './history.ts';
import { holdOf, imagined, operationOf } from './imagined.ts';
import { type Case, judge } from './judge.ts';
import { trouble } from './report.ts';
import { play, type Ran } from './run.ts';
import { drawSchedule, FIRST_BIT } from './schedule.ts';
import { GRANT, setStage, type Stage } from './stage.ts';

const instances = { auth: 1, accounting: 2, chatProxy: 2 };

describe('the schedule of a run', () => {
  const options = { seed: 11, seconds: 60, rate: 20, instances };

  it('is the same for the same seed, traffic and faults alike, and another for another', () => {
    expect(drawSchedule(options)).toEqual(drawSchedule(options));
    expect(drawSchedule({ ...options, seed: 12 })).not.toEqual(drawSchedule(options));
  });

  it('asks as often as it was told, and no payer twice for the same power of two', () => {
    const { operations, payers } = drawSchedule(options);
    expect(Math.abs(operations.length - 1200)).toBeLessThan(150);
    const bits = operations.flatMap((one) => ('bit' in one ? [`${one.payer} ${one.bit}`] : []));
    expect(new Set(bits).size).toBe(bits.length);
    expect(operations.every((one) => !('payer' in one) || one.payer < payers)).toBe(true);
  });

  it('deals every kind of fault, each within the run', () => {
    const { faults } = drawSchedule({ ...options, seconds: 600 });
    const kinds = new Set(faults.map((one) => (one.kind === 'link' ? one.effect : one.kind)));
    expect([...kinds].toSorted()).toEqual([
      'bandwidth',
      'black-hole',
      'clock',
      'kill',
      'kill-database',
      'latency',
      'pause',
      'pause-database',
      'refuse',
      'reset',
      'reset-after',
      'slice',
    ]);
    expect(faults.every(({ at }) => at < 600_000)).toBe(true);
  });
});

/** A good case with other facts. */
const withFacts = (facts: Partial<Case['facts']>): Case => {
  const good = imagined();
  return { ...good, facts: { ...good.facts, ...facts } };
};
const told = (given: Case): string[] => judge(given).map(({ invariant, what }) => `${invariant} ${what}`);

describe('the judge', () => {
  it('finds nothing wrong with a run that went well', () => {
    expect(judge(imagined())).toEqual([]);
  });

  it.each([
    ['lost', -1],
    ['doubled', 1],
  ])('sees in the balance alone that a granted or spent amount was %s', (_, sign) => {
    for (const kind of ['allocate', 'deduct', 'chat', 'deliver'] as const) {
      const operation = operationOf(kind, 'done');
      const { facts, userIds } = imagined();
      const change = sign * (kind === 'allocate' ? 1 : -1) * 2 ** operation.bit;
      const accounts = facts.accounts.map((account) =>
        account.userId === userIds[operation.payer]
          ? { ...account, available: account.available + change, told: account.told + change }
          : account,
      );
      expect({ kind, told: told(withFacts({ accounts })) }).not.toEqual({ kind, told: [] });
    }
  });

  it('sees a whole answer that was charged a little less, and one with a second hold', () => {
    const operation = operationOf('chat', 'done');
    const { holds } = imagined().facts;
    const less = holds.map((hold) => (hold.id === `hold of ${operation.id}` ? holdOf(operation, 3) : hold));
    expect(told(withFacts({ holds: less }))).toEqual([`I6 a whole answer is to cost ${2 ** operation.bit} once`]);
    const twin = { ...holdOf(operation, 2 ** operation.bit), id: 'another' };
    expect(told(withFacts({ holds: [...holds, twin] }))).toEqual(['I7 one operation was charged twice']);
  });

  it('takes a whole answer whose price nobody reported for what came through, but not many of them', () => {
    const operation = operationOf('chat', 'done');
    const good = imagined();
    const { holds, accounts } = good.facts;
    const estimates = (at: (id: string) => boolean, charged: number) =>
      holds.map((hold) =>
        at(hold.id) ? { ...hold, charged, ledger: charged, logged: charged, isEstimated: true } : hold,
      );
    const spared = 2 ** operation.bit - 1;
    const richer = accounts.map((account) =>
      account.userId === good.userIds[operation.payer]
        ? { ...account, available: account.available + spared, told: account.told + spared }
        : account,
    );
    const once = estimates((id) => id === `hold of ${operation.id}`, 1);
    expect(told(withFacts({ holds: once, accounts: richer }))).toEqual([]);
    expect(told(withFacts({ holds: estimates(() => true, 1) }))).toContainEqual(
      expect.stringMatching(/whole answers were charged by an estimate$/),
    );
  });

  it('sees an open hold, and a charge that ledger or log of usage tell otherwise', () => {
    const operation = operationOf('chat', 'maybe');
    const { holds } = imagined().facts;
    const changed = (change: object) =>
      withFacts({
        holds: holds.map((hold) => (hold.id === `hold of ${operation.id}` ? { ...hold, ...change } : hold)),
      });
    expect(told(changed({ status: 'active' }))).toEqual(['I4 a hold is open']);
    expect(told(changed({ ledger: 2 }))).toEqual(['I6 charged 1, ledger 2, log of usage 1']);
    expect(told(changed({ logged: 0 }))).toEqual(['I6 charged 1, ledger 1, log of usage 0']);
  });

  it('sees a last hold that was open for longer than a lease allows, and a kind of which too little was acknowledged', () => {
    expect(told(withFacts({ quietAfterMs: 39_001 }))).toEqual([
      'I4 the last hold was open for 39001 ms, and at most 39000',
    ]);
    const good = imagined();
    const once = good.outcomes.map((outcome) => ({ ...outcome, told: Math.min(1, outcome.told) }));
    const floors = { deduct: { done: 1, repeated: 1 }, allocate: { done: 1, repeated: 0 } };
    expect(told({ ...good, outcomes: once, floors })).toEqual([
      expect.stringMatching(/^floor deduct: \d+ were acknowledged, 0 to a repetition too; at least 1, and 1 repeated/),
    ]);
  });

  it('sees a client without an answer, an operation without an end, a failed check, a dead process and an owed end', () => {
    const good = imagined();
    const [first, ...others] = good.outcomes;
    const outcomes = [{ ...first, isHung: true } as (typeof good.outcomes)[number], ...others.slice(1)];
    const facts = {
      ...good.facts,
      journalRows: 2,
      verdicts: [{ invariant: 'I9', title: 'The chain is whole', offenders: 1, first: 'row' }],
      processes: [{ name: 'auth', trouble: 'away', residentMegabytes: 0, openFiles: 0 }],
    };
    expect(told({ ...good, outcomes, facts })).toEqual([
      'I9 The chain is whole: 1 do not',
      'answered a client got neither an answer nor an end',
      'I4 proxies still owe 2 ends',
      'alive auth is not ready again',
      'answered an operation has no outcome',
    ]);
  });
});

/** Seconds: the 60 s lease at one twentieth. */
const LEASE = 3;
/** In so short a time this one kills a proxy, accounting and both databases, and breaks lines. */
const SEED = 205;
const PATIENCE_MS = 400_000;

describe('a short run against the real thing', () => {
  const schedule = drawSchedule({ seed: SEED, seconds: 8, rate: 8, instances, longestGapMs: 1200, more: 240 });
  const history = createHistory();
  let stage: Stage;
  let ran: Ran;
  beforeAll(async () => {
    stage = await setStage(schedule, LEASE);
    ran = await play(stage, schedule, { history, leaseSeconds: LEASE, floors: FLOORS });
  }, PATIENCE_MS);
  afterAll(() => stage.stop(), PATIENCE_MS);

  it('loses nothing and doubles nothing, while processes and databases die and lines break', () => {
    expect(trouble(ran.violations, history)).toBe('');
    expect(ran.outcomes.length).toBeGreaterThanOrEqual(schedule.operations.length);
    const killed = schedule.faults.filter(({ kind }) => kind.startsWith('kill')).map(targetOf);
    expect(killed.map((name) => name.split(' ')[0])).toEqual(['chatProxy', 'mongo', 'accounting', 'postgres']);
  });

  it(
    'would have seen a double charge and a hold that stays open',
    async () => {
      const { fleet, payers } = stage;
      const operation = ran.outcomes.flatMap(({ id, verdict }) => {
        const one = schedule.operations[id];
        return verdict === 'done' && one?.kind === 'chat' ? [one] : [];
      })[0];
      const payer = payers[operation?.payer ?? 0];
      const { accessToken: token } = (await payer?.person()) ?? { accessToken: '' };
      const credits = 2 ** (operation?.bit ?? FIRST_BIT);
      const url = `${fleet.urls.accounting}/api/credits/deduct`;
      expect((await callJson('POST', url, { token, body: { credits } })).status).toBe(200);
      const facts = await gather(stage, LEASE);
      const userIds = payers.map(({ userId }) => userId);
      const [hold] = facts.holds;
      const holds = hold
        ? [...facts.holds, { ...hold, id: 'open', status: 'active', charged: 0, ledger: 0, logged: 0 }]
        : [];
      const given = { schedule, outcomes: ran.outcomes, userIds, granted: GRANT, floors: {}, leaseSeconds: LEASE };
      const found = judge({ ...given, facts: { ...facts, holds } });
      const whats = found.map(({ what }) => what);
      expect(whats).toEqual(expect.arrayContaining(['a hold is open', 'one operation was charged twice']));
    },
    PATIENCE_MS,
  );
});
