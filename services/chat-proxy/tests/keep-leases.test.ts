import { describe, expect, it } from '@jest/globals';
import { MODEL } from './fixtures/doubles.ts';
import { codeOf, readAll, type Stage, stageWith, text, withModel } from './fixtures/flow-stage.ts';

const told = (stage: Stage) => stage.told.map(({ name }) => name);

/** A stage whose answer has produced one token and waits. */
async function running(options: { turns?: number } = {}) {
  const stage = stageWith([text('one'), 'hang'], withModel, options);
  const answer = stage.start({ chatflowId: MODEL.id });
  await answer.next();
  await answer.next();
  return { stage, answer };
}

describe('the progress of a running answer', () => {
  it('is written again when it could not be written', async () => {
    const { stage, answer } = await running();
    stage.journal.isAway = true;
    await expect(stage.keeper.note()).rejects.toThrow();
    stage.journal.isAway = false;
    await stage.keeper.note();
    expect([...stage.journal.rows.values()]).toMatchObject([{ checkpoint: { output: 1 } }]);
    await answer.return();
  });

  it('is written by one write at a time, and whoever waits shares the next one', async () => {
    const { stage, answer } = await running();
    const slow = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    let writes = 0;
    const checkpoint = stage.journal.checkpoint.bind(stage.journal);
    stage.journal.checkpoint = async (...written) => {
      writes += 1;
      begun.resolve();
      if (writes === 1) await slow.promise;
      await checkpoint(...written);
    };
    const notes = [stage.keeper.note(), stage.keeper.note(), stage.keeper.note()];
    await begun.promise;
    expect(writes).toBe(1);
    stage.clock.advance(20_000);
    slow.resolve();
    await Promise.all(notes);
    expect(writes).toBe(2);
    await answer.return();
  });
});

describe('the progress of many answers', () => {
  it('is written when the turn of each has come, so that new answers wait for a few of them at a time', async () => {
    const { stage, answer } = await running({ turns: 8 });
    const written: number[] = [];
    const checkpoint = stage.journal.checkpoint.bind(stage.journal);
    stage.journal.checkpoint = async (rows, until) => {
      written.push(rows.length);
      await checkpoint(rows, until);
    };
    stage.clock.advance(1000);
    const later = stage.start({ chatflowId: MODEL.id });
    await later.next();
    await later.next();
    // The first answer's turn comes a turn before its two seconds are over.
    stage.clock.advance(749);
    await stage.keeper.noteDue();
    expect(written).toEqual([]);
    stage.clock.advance(1);
    await stage.keeper.noteDue();
    await stage.keeper.noteDue();
    expect(written).toEqual([1]);
    stage.clock.advance(1000);
    await stage.keeper.noteDue();
    expect(written).toEqual([1, 1]);
    expect([...stage.journal.rows.values()]).toMatchObject([
      { checkpoint: { output: 1 } },
      { checkpoint: { output: 1 } },
    ]);
    await Promise.all([answer.return(), later.return()]);
  });

  it('is renewed in turns likewise, at once again when that has failed, and when the clock was put back', async () => {
    const { stage, answer } = await running({ turns: 8 });
    const renewed: number[] = [];
    const renew = stage.accounting.renew.bind(stage.accounting);
    let isAway = false;
    stage.accounting.renew = async (renewals) => {
      renewed.push(renewals.length);
      if (isAway) throw new Error('away');
      return renew(renewals);
    };
    stage.clock.advance(10_000);
    const later = stage.start({ chatflowId: MODEL.id });
    await later.next();
    stage.clock.advance(3124);
    await stage.keeper.renew();
    expect(renewed).toEqual([]);
    stage.clock.advance(1);
    isAway = true;
    await expect(stage.keeper.renew()).rejects.toThrow('away');
    isAway = false;
    await stage.keeper.renew();
    await stage.keeper.renew();
    expect(renewed).toEqual([1, 1]);
    stage.clock.advance(10_000);
    await stage.keeper.renew();
    expect(renewed).toEqual([1, 1, 1]);
    stage.clock.set(stage.clock.now() - 60_000);
    await stage.keeper.renew();
    await stage.keeper.noteDue();
    expect(renewed).toEqual([1, 1, 1, 2]);
    expect([...stage.journal.rows.values()]).toMatchObject([{ checkpoint: { output: 1 } }, {}]);
    await Promise.all([answer.return(), later.return()]);
  });

  it('is written for all of them when that is asked for behind a turn', async () => {
    const { stage, answer } = await running({ turns: 8 });
    const slow = Promise.withResolvers<void>();
    const checkpoint = stage.journal.checkpoint.bind(stage.journal);
    stage.journal.checkpoint = async (rows, until) => {
      await slow.promise;
      await checkpoint(rows, until);
    };
    stage.clock.advance(2000);
    const turn = stage.keeper.noteDue();
    const later = stage.start({ chatflowId: MODEL.id });
    await later.next();
    await later.next();
    const next = [stage.keeper.noteDue(), stage.keeper.note()];
    slow.resolve();
    await Promise.all([turn, ...next]);
    expect([...stage.journal.rows.values()]).toMatchObject([
      { checkpoint: { output: 1 } },
      { checkpoint: { output: 1 } },
    ]);
    await Promise.all([answer.return(), later.return()]);
  });
});

it.each(['note', 'renew'] as const)(
  'tells of no progress (%s) before the answer is kept to be read again: nobody pays for words that died with us',
  async (turn) => {
    const { stage, answer } = await running();
    const renew = stage.accounting.renew.bind(stage.accounting);
    stage.accounting.renew = async (renewals) => {
      stage.log.push('renew');
      return renew(renewals);
    };
    stage.log.length = 0;
    await stage.keeper[turn]();
    expect(stage.log).toEqual(['answers kept', turn === 'note' ? 'checkpoint' : 'renew']);
    await answer.return();
  },
);

describe('a lease', () => {
  it('that is no longer than two renewals is told once, as a fault of the configuration', async () => {
    const stage = stageWith([text('one')]);
    stage.clock.advance(45_000);
    await readAll(stage.start());
    await readAll(stage.start());
    expect(told(stage).filter((name) => name === 'renewal_too_slow')).toHaveLength(1);
    const well = stageWith([text('one')]);
    await readAll(well.start());
    expect(told(well)).not.toContain('renewal_too_slow');
  });
});

describe('an answer whose client reads nothing', () => {
  it('is told once as stopped, however often its renewal is refused', async () => {
    const { stage, answer } = await running();
    const [holdId] = stage.journal.rows.keys();
    if (!holdId) throw new Error('the answer has no journal row');
    for (let round = 0; round < 2; round += 1) {
      stage.accounting.lost.push({ holdId, outcome: 'stopped', reason: 'key_revoked' });
      await stage.keeper.renew();
    }
    expect(told(stage).filter((name) => name === 'hold_lost')).toHaveLength(1);
    expect(codeOf((await readAll(answer)).error)).toBe('KEY_REVOKED');
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'settle', units: { output: 1 } } }]);
  });
});

describe('an answer whose access has ended', () => {
  it.each([
    ['logout', 'ACCESS_REVOKED'],
    ['account-disabled', 'ACCOUNT_DISABLED'],
    ['account-locked', 'ACCOUNT_LOCKED'],
    ['key-revoked', 'KEY_REVOKED'],
    ['a reason of tomorrow', 'ACCESS_REVOKED'],
  ])('by %s ends with %s, is told once, and pays for what was produced', async (reason, code) => {
    const { stage, answer } = await running();
    for (let round = 0; round < 2; round += 1) stage.keeper.endRevoked(() => reason);
    expect(codeOf((await readAll(answer)).error)).toBe(code);
    expect(stage.told.filter(({ name }) => name === 'access_ended')).toMatchObject([{ fact: { reason } }]);
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'settle', units: { output: 1 } } }]);
    expect(stage.keeper.running).toBe(0);
  });

  it('is known by what its token said, and others go on', async () => {
    const { stage, answer } = await running();
    stage.keeper.endRevoked(({ sessionId }) => (sessionId === 'session-1' ? undefined : 'logout'));
    expect(stage.keeper.running).toBe(1);
    stage.keeper.endRevoked(({ sessionId }) => (sessionId === 'session-1' ? 'logout' : undefined));
    expect(codeOf((await readAll(answer)).error)).toBe('ACCESS_REVOKED');
  });
});

describe('an answer that outlives every limit', () => {
  it('has its hold settled although its client reads nothing, and pays once', async () => {
    const { stage, answer } = await running();
    stage.clock.advance(600_000);
    await stage.keeper.renew();
    expect(stage.accounting.openHolds()).toBe(1);
    stage.clock.advance(1);
    await stage.keeper.renew();
    await stage.settler.idle();
    expect([stage.accounting.openHolds(), stage.keeper.running, stage.accounting.available]).toEqual([0, 0, 9999]);
    expect(told(stage)).toContain('answer_overdue');
    const { error } = await readAll(answer);
    expect([codeOf(error), stage.accounting.endings.length]).toEqual(['UPSTREAM_TIMEOUT', 1]);
  });
});
