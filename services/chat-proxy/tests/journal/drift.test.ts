import { describe, expect, it } from '@jest/globals';
import { createJournalComparer } from '../../src/flows/answers/compare-journal.ts';
import type { Ending } from '../../src/ports.ts';
import { BOB, holdId } from '../fixtures/doubles.ts';
import { createStage, type Stage } from '../fixtures/flow-stage.ts';

const GRACE_MS = 90_000;
const VOID: Ending = { kind: 'void', reason: 'test' };

const comparerOf = ({ accounting, journal, clock, told: facts }: Stage) =>
  createJournalComparer({
    accounting,
    journal,
    clock,
    graceMs: GRACE_MS,
    tell: (name, fact) => void facts.push({ name, fact }),
  });
const told = (stage: Stage) => stage.told.filter(({ name }) => name === 'journal_drift').map(({ fact }) => fact);

/** A row of the journal, with the hold it names. */
async function rowOf(stage: Stage): Promise<ReturnType<typeof holdId>> {
  const id = holdId();
  await stage.accounting.hold({ userId: BOB }, { holdId: id, units: { request: 1 } });
  await stage.journal.open({ holdId: id, userId: BOB }, new Date(0));
  return id;
}

describe('the journal, compared with accounting,', () => {
  it('drifts where a row stays whose hold is closed, is unknown, or waits for its end; that is told once', async () => {
    const stage = createStage();
    const [closed, owed, running] = [await rowOf(stage), await rowOf(stage), await rowOf(stage)];
    await stage.accounting.end(closed, BOB, VOID);
    await stage.journal.conclude({ holdId: owed }, VOID, new Date(0));
    const unknown = holdId();
    await stage.journal.open({ holdId: unknown, userId: BOB }, new Date(0));
    const comparer = comparerOf(stage);
    await comparer.compare();
    expect(told(stage)).toEqual([]);
    for (let turn = 0; turn < 2; turn += 1) {
      stage.clock.advance(GRACE_MS);
      await comparer.compare();
    }
    expect(told(stage)).toHaveLength(3);
    expect(told(stage)).toEqual(
      expect.arrayContaining([
        { holdId: closed, userId: BOB, how: 'closed' },
        { holdId: owed, userId: BOB, how: 'owed' },
        { holdId: unknown, userId: BOB, how: 'unknown' },
      ]),
    );
    expect([stage.journal.rows.has(running), stage.journal.rows.size]).toEqual([true, 4]);
    const drifting = () => (['closed', 'unknown', 'owed'] as const).map((how) => comparer.drifting(how));
    expect(drifting()).toEqual([1, 1, 1]);
    await stage.journal.close(owed);
    await comparer.compare();
    expect(drifting()).toEqual([1, 1, 0]);
  });

  it('has no drift where a row goes in time, or accounting cannot be asked', async () => {
    const stage = createStage();
    const gone = await rowOf(stage);
    const unasked = await rowOf(stage);
    await stage.accounting.end(gone, BOB, VOID);
    await stage.accounting.end(unasked, BOB, VOID);
    const comparer = comparerOf(stage);
    await comparer.compare();
    await stage.journal.close(gone);
    stage.accounting.isAway = true;
    stage.clock.advance(GRACE_MS);
    await comparer.compare();
    expect(told(stage)).toEqual([]);
    stage.accounting.isAway = false;
    await comparer.compare();
    expect(told(stage)).toMatchObject([{ holdId: unasked, how: 'closed' }]);
  });
});
