import { describe, expect, it } from '@jest/globals';
import { eventually } from '@tollgate/test-kit';
import { codeOf, namesOf as names, readAll, stageWith, text } from '../fixtures/flow-stage.ts';

describe('a new conversation', () => {
  it('is opened while the credits are held, and sends nothing before all of it is written', async () => {
    const stage = stageWith([text('A toll')]);
    const { open } = stage.sessions;
    const arrival = Promise.withResolvers<void>();
    stage.sessions.open = async (claim) => {
      await arrival.promise;
      await open(claim);
    };
    const answer = readAll(stage.start());
    await eventually(async () => stage.log.length === 2 || undefined, 'hold and journal');
    expect(stage.log.toSorted()).toEqual(['hold', 'journal']);
    arrival.resolve();
    expect(names((await answer).events)).toEqual(['session_id', 'token', 'usage', 'end']);
    expect(stage.log.slice(2, 4)).toEqual(['claim', 'upstream']);
  });

  it('that cannot be opened refuses the question, and what was held beside it is voided', async () => {
    const stage = stageWith([text('x')]);
    stage.sessions.isAway = true;
    const { error } = await readAll(stage.start());
    expect([codeOf(error), stage.upstream.prompts]).toEqual(['DEPENDENCY_UNAVAILABLE', []]);
    expect([stage.accounting.openHolds(), stage.accounting.available]).toEqual([0, 10_000]);
    expect([stage.journal.rows.size, stage.keeper.running]).toEqual([0, 0]);
  });

  it('that is still on its way is taken back when there are no credits for it', async () => {
    const stage = stageWith([text('x')], (on) => {
      on.accounting.available = 0;
    });
    const { open } = stage.sessions;
    const arrival = Promise.withResolvers<void>();
    stage.sessions.open = async (claim) => {
      await arrival.promise;
      await open(claim);
    };
    const refused = readAll(stage.start());
    await eventually(async () => stage.log.includes('hold') || undefined, 'the hold');
    arrival.resolve();
    expect(codeOf((await refused).error)).toBe('INSUFFICIENT_CREDITS');
    expect(stage.sessions.rows.size).toBe(0);
  });
});
