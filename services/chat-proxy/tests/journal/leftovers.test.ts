import { describe, expect, it } from '@jest/globals';
import { AppError, requestContext } from '@tollgate/http-kit';
import type { Units } from '../../src/domain/wire-types.ts';
import { judgeOrphan } from '../../src/flows/answers/judge-orphan.ts';
import { createSettler } from '../../src/flows/answers/settle-leftovers.ts';
import type { Ending } from '../../src/ports.ts';
import { ALICE, BOB, credits, holdId, holdOf, TOKEN_PRICE } from '../fixtures/doubles.ts';
import { createStage, type Stage } from '../fixtures/flow-stage.ts';

const settled = (changes: object = {}): Ending => ({
  kind: 'settle',
  outcome: 'completed',
  units: { request: 1 },
  usageSource: 'flat',
  ...changes,
});
const VOID: Ending = { kind: 'void', reason: 'not dispatched' };
const held = async (stage: Stage) =>
  (await stage.accounting.hold({ userId: BOB }, { holdId: holdId(), units: { request: 1 } })).holdId;
const told = (stage: Stage, fact: string) => stage.told.filter(({ name }) => name === fact);

describe('an end is asked for under the id of the request that it ends,', () => {
  const asked = { requestId: 'asked-0001' };

  it('at once, and again later by a task that knows no request', async () => {
    const stage = createStage();
    const id = await held(stage);
    stage.accounting.isAway = true;
    await requestContext.run(asked, () =>
      stage.settler.end({ holdId: id, userId: BOB, ending: VOID, origin: requestContext.origin() }),
    );
    stage.accounting.isAway = false;
    stage.clock.advance(60_000);
    await requestContext.run({ requestId: 'a-round-of-its-own' }, () => stage.settler.tick());
    expect(stage.accounting.askedUnder).toEqual(['asked-0001', 'asked-0001']);
    expect(stage.accounting.openHolds()).toBe(0);
  });

  it('also by another process, which finds it in the journal', async () => {
    const stage = createStage();
    const id = await held(stage);
    stage.journal.orphans.push({ holdId: id, userId: BOB, ending: VOID, origin: asked });
    await stage.settler.tick();
    expect(stage.accounting.askedUnder).toEqual(['asked-0001']);
  });

  it('also when the answer is ended from outside', async () => {
    const stage = createStage();
    const answer = requestContext.run(asked, () => stage.start());
    await requestContext.run(asked, () => answer.next());
    stage.clock.advance(600_001);
    await requestContext.run({ requestId: 'a-round-of-its-own' }, () => stage.keeper.renew());
    await requestContext.run(asked, () => answer.return(undefined));
    expect(stage.accounting.askedUnder).toEqual(['asked-0001']);
  });
});

describe('a journal row of a silent owner', () => {
  it('is left alone while its hold is active, and again while accounting cannot be asked', async () => {
    const stage = createStage();
    const id = await held(stage);
    stage.journal.orphans.push({ holdId: id, userId: BOB, checkpoint: { request: 1 } });
    await stage.settler.tick();
    stage.accounting.isAway = true;
    stage.journal.orphans.push({ holdId: id, userId: BOB, checkpoint: { request: 1 } });
    await stage.settler.tick();
    expect([stage.accounting.openHolds(), stage.accounting.endings, stage.settler.waiting]).toEqual([1, [], 0]);
    expect(told(stage, 'hold_recovered')).toEqual([]);
  });

  it('with a decided end has this end repeated', async () => {
    const stage = createStage();
    const id = await held(stage);
    const ending = settled({ outcome: 'failed' });
    stage.journal.orphans.push({ holdId: id, userId: BOB, checkpoint: { request: 1 }, ending });
    await stage.settler.tick();
    expect(stage.accounting.endings).toMatchObject([{ ending }]);
    expect(stage.log).not.toContain('read');
  });

  it('whose hold accounting has never heard of is voided, so that a late hold meets a tombstone', async () => {
    const stage = createStage();
    const id = holdId();
    stage.journal.orphans.push({ holdId: id, userId: BOB });
    await stage.settler.tick();
    expect([stage.accounting.tombstones, stage.settler.waiting]).toEqual([[id], 0]);
    expect(told(stage, 'hold_recovered')).toMatchObject([{ fact: { how: 'bury' } }]);
  });

  it('whose hold arrives between the look at it and its burial is left to its owner, with all it will charge', async () => {
    const stage = createStage();
    const id = holdId();
    await stage.journal.open({ holdId: id, userId: BOB }, new Date(0));
    stage.journal.orphans.push({ holdId: id, userId: BOB });
    stage.accounting.beforeBurial = () =>
      void stage.accounting.hold({ userId: BOB }, { holdId: id, units: { request: 1 } });
    await stage.settler.tick();
    expect([stage.accounting.openHolds(), stage.accounting.endings, stage.journal.rows.has(id)]).toEqual([1, [], true]);
    expect(told(stage, 'hold_recovered')).toEqual([]);
    await stage.settler.end({ holdId: id, userId: BOB, ending: settled() });
    expect(stage.accounting.endings).toEqual([{ holdId: id, ending: settled() }]);
    await stage.settler.idle();
    expect(stage.journal.rows.size).toBe(0);
  });

  it('stays for another turn when accounting cannot bury its hold', async () => {
    const stage = createStage();
    const id = holdId();
    await stage.journal.open({ holdId: id, userId: BOB }, new Date(0));
    stage.journal.orphans.push({ holdId: id, userId: BOB });
    stage.accounting.beforeBurial = () => {
      throw new AppError('ACCOUNTING_UNAVAILABLE');
    };
    await stage.settler.tick();
    expect([stage.journal.rows.has(id), stage.accounting.tombstones, stage.settler.waiting]).toEqual([true, [], 0]);
  });

  it('is struck when its hold is closed already', async () => {
    const stage = createStage();
    const id = await held(stage);
    await stage.accounting.end(id, BOB, VOID);
    stage.journal.rows.set(id, { userId: BOB, leaseUntil: new Date(0) });
    stage.journal.orphans.push({ holdId: id, userId: BOB, checkpoint: { request: 1 } });
    await stage.settler.tick();
    expect([stage.accounting.endings.length, stage.journal.rows.size]).toEqual([1, 0]);
  });
});

describe('the verdict on a hold that its lease has ended', () => {
  const expired = (checkpoint: Units | null) => ({
    ...holdOf(TOKEN_PRICE, 100, { request: 1, output: 100 }),
    status: 'expired' as const,
    outcome: null,
    chargedCredits: credits(0),
    releasedCredits: credits(0),
    expiredCredits: credits(0),
    writtenOffCredits: credits(0),
    debtCredits: credits(0),
    alreadyFinal: true,
    checkpoint,
  });
  const late = (units: Units) => ({ kind: 'settle', outcome: 'recovered', units, usageSource: 'checkpoint' });

  it.each<[string, Units | null, Units | undefined, object | string]>([
    ['nothing was known', null, undefined, 'strike'],
    ['the journal knows more', { output: 5 }, { output: 7 }, late({ output: 7 })],
    ['only the journal knows', null, { request: 1, output: 7 }, late({ request: 1, output: 7 })],
    ['accounting knows as much', { output: 7 }, { output: 7 }, 'strike'],
    ['accounting knows more', { output: 9 }, { output: 7 }, 'strike'],
    ['each knows more of a class', { input: 9, output: 1 }, { input: 3, output: 7 }, late({ input: 9, output: 7 })],
  ])('when %s', (_, known, journalled, verdict) => {
    expect(judgeOrphan(expired(known), journalled)).toEqual(verdict);
    expect(judgeOrphan({ ...expired(known), status: 'settled', outcome: 'recovered' }, journalled)).toEqual(verdict);
    expect(judgeOrphan({ ...expired(known), status: 'settled', outcome: 'failed' }, journalled)).toBe('strike');
  });
});

describe('an end that accounting has acknowledged', () => {
  it('is known before the journal has forgotten it, which only a stop of the process waits for', async () => {
    const stage = createStage();
    const id = await held(stage);
    await stage.journal.open({ holdId: id, userId: BOB }, new Date(stage.clock.now()));
    const { close } = stage.journal;
    const forgotten = Promise.withResolvers<void>();
    stage.journal.close = async (closed) => {
      await forgotten.promise;
      await close(closed);
    };
    expect(await stage.settler.end({ holdId: id, userId: BOB, ending: settled() })).toMatchObject({
      alreadyFinal: false,
    });
    const idle = stage.settler.idle().then(() => stage.journal.rows.has(id));
    expect([stage.journal.rows.has(id), stage.settler.waiting]).toEqual([true, 0]);
    forgotten.resolve();
    expect(await idle).toBe(false);
  });
});

describe('an end that accounting refuses', () => {
  it('is tried once more without the upstream’s own figures', async () => {
    const stage = createStage();
    stage.accounting.refuses = (ending) => ending.kind === 'settle' && ending.rawUsage !== undefined;
    const id = await held(stage);
    await stage.settler.end({ holdId: id, userId: BOB, ending: settled({ rawUsage: { a: 1 } }) });
    expect(stage.accounting.endings).toEqual([{ holdId: id, ending: settled() }]);
    expect([stage.settler.waiting, told(stage, 'hold_parked')]).toEqual([0, []]);
  });

  it('is parked: told once, shown, and repeated ever more rarely, in the end hourly', async () => {
    const stage = createStage();
    stage.accounting.refuses = () => true;
    const id = await held(stage);
    await stage.settler.end({ holdId: id, userId: BOB, ending: settled() });
    for (let second = 0; second < 86_400; second += 60) {
      stage.clock.advance(60_000);
      await stage.settler.tick();
    }
    const attempts = stage.log.filter((entry) => entry === 'settle').length;
    expect(attempts).toBeGreaterThan(20);
    expect(attempts).toBeLessThan(40);
    expect([told(stage, 'hold_parked').length, stage.settler.parked, stage.settler.waiting]).toEqual([1, 1, 1]);
    stage.accounting.refuses = () => false;
    stage.clock.advance(2 * 3_600_000);
    await stage.settler.tick();
    expect([stage.settler.parked, stage.accounting.openHolds()]).toEqual([0, 0]);
  });
});

describe('leftovers', () => {
  it('are settled before others are released', async () => {
    const stage = createStage();
    const voids = await Promise.all(Array.from({ length: 30 }, () => held(stage)));
    for (const id of voids) stage.settler.endLater({ holdId: id, userId: BOB, ending: VOID });
    const owed = await held(stage);
    stage.settler.endLater({ holdId: owed, userId: BOB, ending: settled() });
    await stage.settler.tick();
    expect(stage.accounting.endings[0]).toMatchObject({ holdId: owed });
    expect([stage.accounting.openHolds(), stage.settler.waiting]).toEqual([0, 0]);
  });

  it('wait no longer for their next attempt because the clock is put back in the meantime', async () => {
    const stage = createStage();
    const id = await held(stage);
    stage.accounting.isAway = true;
    stage.settler.endLater({ holdId: id, userId: BOB, ending: VOID });
    await stage.settler.tick();
    stage.clock.set(stage.clock.now() - 120_000);
    stage.accounting.isAway = false;
    await stage.settler.tick();
    expect([stage.accounting.openHolds(), stage.settler.waiting]).toEqual([0, 0]);
  });

  it('cost one round of attempts a turn while accounting is away', async () => {
    const stage = createStage();
    for (let at = 0; at < 100; at += 1) stage.settler.endLater({ holdId: holdId(), userId: BOB, ending: VOID });
    stage.accounting.isAway = true;
    await stage.settler.tick();
    expect(stage.log.filter((entry) => entry === 'void')).toHaveLength(20);
  });

  it('beyond what memory takes are left to the journal', async () => {
    const { journal, accounting, clock } = createStage();
    const tell = () => undefined;
    const settler = createSettler({
      accounting,
      journal,
      clock,
      tell,
      random: () => 0.5,
      asPartOf: (_origin, work) => work(),
      journalLeaseMs: 30_000,
      retry: { firstMs: 500, longestMs: 30_000 },
      mostRemembered: 2,
    });
    const ids = [holdId(), holdId(), holdId()];
    for (const id of ids) {
      await journal.open({ holdId: id, userId: ALICE }, new Date(clock.now()));
      settler.endLater({ holdId: id, userId: ALICE, ending: VOID });
    }
    expect(settler.waiting).toBe(2);
    expect([...journal.rows.values()].map(({ ending }) => ending?.kind)).toEqual([undefined, undefined, 'void']);
  });

  it('are counted once, although their journal row could not be struck at first', async () => {
    const stage = createStage();
    const id = await held(stage);
    stage.journal.isAway = true;
    await stage.settler.end({ holdId: id, userId: BOB, ending: settled() });
    stage.journal.isAway = false;
    stage.clock.advance(1000);
    await stage.settler.tick();
    expect([told(stage, 'hold_closed').length, stage.settler.waiting]).toEqual([1, 0]);
    expect(stage.accounting.endings).toHaveLength(1);
  });

  it('are told as settled when they were charged, also after the lease had ended their hold', async () => {
    const stage = createStage();
    const id = await held(stage);
    const { end } = stage.accounting;
    const endExpired: typeof end = async (...of) => ({ ...(await end(...of)), status: 'expired', alreadyFinal: true });
    Object.assign(stage.accounting, { end: endExpired });
    await stage.settler.end({ holdId: id, userId: BOB, ending: settled() });
    expect(told(stage, 'hold_closed')).toMatchObject([{ fact: { how: 'settled', chargedCredits: 1 } }]);
  });

  it('are not taken for refused because the service is limited for a moment', async () => {
    const stage = createStage();
    const id = await held(stage);
    const end = stage.accounting.end.bind(stage.accounting);
    stage.accounting.end = async () => {
      throw new AppError('RATE_LIMITED');
    };
    await stage.settler.end({ holdId: id, userId: BOB, ending: settled() });
    expect([stage.settler.parked, told(stage, 'hold_left_over').length]).toEqual([0, 1]);
    stage.accounting.end = end;
    stage.clock.advance(1000);
    await stage.settler.tick();
    expect(stage.accounting.openHolds()).toBe(0);
  });
});
