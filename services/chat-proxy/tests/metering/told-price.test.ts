import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import type { AnswerEvent } from '../../src/domain/answer.ts';
import { MODEL } from '../fixtures/doubles.ts';
import { namesOf, readAll, type Stage, stageWith, text, withModel } from '../fixtures/flow-stage.ts';

const THREE_TOKENS = { kind: 'usage', usage: { input: 0, cacheRead: 0, output: 3, raw: {} } } as const;

/** What the journal says of the only hold when the client is told of its price. */
async function writtenWhenTold(stage: Stage, signal?: AbortSignal) {
  for await (const { event } of stage.start({ chatflowId: MODEL.id }, signal)) {
    if (event === 'usage') return { rows: [...stage.journal.rows.values()], endings: [...stage.accounting.endings] };
  }
  throw new Error('no price was told');
}

describe('a price', () => {
  it('is told when the journal knows it, so that nobody gets an answer for less by our death', async () => {
    const stage = stageWith([text('x'), THREE_TOKENS], withModel);
    const { rows, endings } = await writtenWhenTold(stage);
    expect(rows).toMatchObject([{ ending: { kind: 'settle', outcome: 'completed', units: { output: 3 } } }]);
    expect(endings).toEqual([]);
  });

  it('of an answer that its user has stopped is written down first as well', async () => {
    const stage = stageWith([text('x'), text('y'), 'hang'], withModel);
    const seen: unknown[] = [];
    for await (const { event, data } of stage.start({ chatflowId: MODEL.id })) {
      if (data === 'y') stage.stopping.abort(new AppError('ANSWER_STOPPED'));
      if (event === 'usage') seen.push(...stage.journal.rows.values());
    }
    expect(seen).toMatchObject([{ ending: { kind: 'settle', outcome: 'aborted', units: { output: 2 } } }]);
    expect(stage.accounting.endings).toMatchObject([
      { ending: { kind: 'settle', outcome: 'aborted', units: { output: 2 } } },
    ]);
  });

  it('is what is settled, also when the client leaves while it is told', async () => {
    const stage = stageWith([text('x'), THREE_TOKENS], withModel);
    const left = new AbortController();
    for await (const { event } of stage.start({ chatflowId: MODEL.id }, left.signal)) {
      if (event !== 'usage') continue;
      left.abort();
      break;
    }
    expect(stage.accounting.endings).toMatchObject([{ ending: { outcome: 'completed', units: { output: 3 } } }]);
    expect(stage.journal.rows.size).toBe(0);
  });

  it('is told while the journal is away when the ledger has it, so that our death cannot lose it', async () => {
    const stage = stageWith([text('x'), THREE_TOKENS], withModel);
    stage.journal.conclude = () => Promise.reject(new AppError('DEPENDENCY_UNAVAILABLE'));
    const { endings } = await writtenWhenTold(stage);
    expect(endings).toMatchObject([{ ending: { outcome: 'completed', units: { output: 3 } } }]);
    expect(stage.accounting.endings).toHaveLength(1);
  });

  it.each(['within its hold', 'beyond its hold'])(
    '%s is not told while neither knows it, and settled later',
    async (where) => {
      const output = where === 'within its hold' ? 3 : 1_000_000;
      const usage = { kind: 'usage', usage: { input: 0, cacheRead: 0, output, raw: {} } } as const;
      const stage = stageWith([text('x'), usage], withModel);
      stage.journal.conclude = () => Promise.reject(new AppError('DEPENDENCY_UNAVAILABLE'));
      const events: AnswerEvent[] = [];
      const read = async () => {
        for await (const event of stage.start({ chatflowId: MODEL.id })) {
          events.push(event);
          stage.accounting.isAway = true;
        }
      };
      const error = await read().catch((thrown: unknown) => thrown);
      expect(namesOf(events)).toEqual(['session_id', 'token']);
      expect(error).toMatchObject({ code: 'ACCOUNTING_UNAVAILABLE' });
      stage.accounting.isAway = false;
      stage.clock.advance(5000);
      await stage.settler.tick();
      expect(stage.accounting.endings).toMatchObject([
        { ending: { kind: 'settle', outcome: 'completed', units: { output } } },
      ]);
    },
  );

  it('is written down when what was paid for is kept for repetitions, and not before', async () => {
    const stage = stageWith([text('x'), text('y'), THREE_TOKENS], withModel);
    const conclude = stage.journal.conclude;
    const kept: unknown[] = [];
    stage.journal.conclude = async (...ending) => {
      for (const { events } of stage.streams.world.recordings.values()) kept.push(...namesOf(events));
      return conclude(...ending);
    };
    const answer = stage.requests.chat(
      stage.asker,
      stage.ask({ chatflowId: MODEL.id, idempotencyKey: 'k' }),
      new AbortController().signal,
    );
    await readAll(answer);
    expect(kept).toEqual(['session_id', 'token', 'token']);
  });

  it('is written once, and not again by the settlement that goes through at once', async () => {
    const stage = stageWith([text('x'), THREE_TOKENS], withModel);
    await readAll(stage.start({ chatflowId: MODEL.id }));
    expect(stage.log.filter((entry) => entry === 'conclude')).toHaveLength(1);
  });
});
