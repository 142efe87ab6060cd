import { describe, expect, it } from '@jest/globals';
import type { SessionId } from '../src/domain/wire-types.ts';
import { AGENTFLOW, BOB, MODEL, TOKEN_PRICE } from './fixtures/doubles.ts';
import {
  codeOf,
  METADATA,
  namesOf as names,
  readAll,
  type Step,
  stageWith,
  text,
  withModel,
} from './fixtures/flow-stage.ts';

describe('an answer that is finished', () => {
  it('asks for everything in order: conversation, journal and hold, upstream, settlement', async () => {
    const stage = stageWith([text('A toll'), text(' is'), METADATA]);
    const { events } = await readAll(stage.start());
    expect(names(events)).toEqual(['session_id', 'token', 'token', 'metadata', 'usage', 'end']);
    expect(stage.log.slice(0, 4).toSorted()).toEqual(['claim', 'hold', 'journal', 'upstream']);
    expect(stage.log.indexOf('claim')).toBe(0);
    expect(stage.log.indexOf('upstream')).toBe(3);
    expect(stage.accounting.endings).toMatchObject([
      { ending: { kind: 'settle', outcome: 'completed', units: { request: 1 } } },
    ]);
    expect([stage.accounting.openHolds(), stage.journal.rows.size, stage.keeper.running]).toEqual([0, 0, 0]);
  });

  it('tells the price it has settled, and what is left', async () => {
    const stage = stageWith([text('A toll')]);
    const { events } = await readAll(stage.start());
    const usage = events.find(({ event }) => event === 'usage')?.data;
    expect(usage).toMatchObject({ credits: 1, remaining_credits: 9999, estimated: true, output_tokens: 1 });
    expect(stage.accounting.available).toBe(9999);
    expect(usage).toMatchObject({ request_id: stage.accounting.endings[0]?.holdId });
  });

  it('puts our conversation in place of the upstream’s', async () => {
    const stage = stageWith([text('x'), METADATA]);
    const { events } = await readAll(stage.start());
    const sessionId = events[0]?.data;
    expect(events.find(({ event }) => event === 'metadata')?.data).toEqual({
      question: 'q',
      chatId: sessionId,
      sessionId,
    });
  });

  it('keeps question, answer, cost and status when it is stored, and nothing when it is not', async () => {
    const stage = stageWith([text('A toll')]);
    await readAll(stage.start());
    await readAll(stage.start({ stores: false }));
    expect(stage.messages.saved).toMatchObject([
      { role: 'user', content: 'What is a toll?', status: 'completed' },
      { role: 'assistant', content: 'A toll', status: 'completed', credits: 1, usage: { outputTokens: 1 } },
    ]);
    expect([...stage.sessions.rows.values()][0]).toMatchObject({ topic: 'What is a toll?', messageCount: 2 });
  });

  it('settles first when it costs more than the hold, and tells what accounting charged', async () => {
    const usage: Step = { kind: 'usage', usage: { input: 0, cacheRead: 0, output: 1500, raw: {} } };
    const stage = stageWith([text('x'), usage], (on) => {
      withModel(on);
      on.accounting.available = 1100;
    });
    const { events } = await readAll(stage.start({ chatflowId: MODEL.id }));
    expect(events.at(-2)?.data).toMatchObject({ credits: 1100, remaining_credits: 0 });
    expect(stage.accounting.endings).toHaveLength(1);
  });

  it('tells a model what was said before, and a flow only what the client sends', async () => {
    const stage = stageWith([text('Hello')], withModel);
    const { events } = await readAll(stage.start({ chatflowId: MODEL.id, question: 'Hi' }));
    await readAll(stage.start({ chatflowId: MODEL.id, sessionId: String(events[0]?.data) }));
    expect(stage.upstream.prompts[1]).toMatchObject({
      history: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello' },
      ],
    });
  });
});

describe('a refusal', () => {
  it.each([
    ['an unknown chatflow', { chatflowId: 'nowhere' as never }, 'CHATFLOW_ACCESS_DENIED'],
    ['a session that is no UUID', { sessionId: 'mine' }, 'VALIDATION_FAILED'],
    ['an override', { overrides: { temperature: 1 } }, 'VALIDATION_FAILED'],
  ])('for %s reserves nothing and asks nobody', async (_, changes, code) => {
    const stage = stageWith([text('x')]);
    const { events, error } = await readAll(stage.start(changes));
    expect([events, codeOf(error)]).toEqual([[], code]);
    expect(stage.log).not.toContain('hold');
    expect(stage.sessions.rows.size).toBe(0);
  });

  it('for want of credits leaves no hold, no journal row and no session, and never reaches the upstream', async () => {
    const stage = stageWith([text('x')], (on) => {
      on.accounting.available = 0;
    });
    const { error } = await readAll(stage.start());
    expect(codeOf(error)).toBe('INSUFFICIENT_CREDITS');
    expect(stage.log).not.toContain('upstream');
    expect([stage.journal.rows.size, stage.sessions.rows.size, stage.messages.saved.length]).toEqual([0, 0, 0]);
  });

  it('comes when accounting is away, and the hold that may exist is voided later', async () => {
    const stage = stageWith([text('x')], (on) => {
      on.accounting.isAway = true;
    });
    expect(codeOf((await readAll(stage.start())).error)).toBe('ACCOUNTING_UNAVAILABLE');
    expect([stage.log.includes('upstream'), stage.settler.waiting]).toEqual([false, 1]);
    stage.accounting.isAway = false;
    await stage.settler.tick();
    expect([stage.settler.waiting, stage.journal.rows.size]).toEqual([0, 0]);
  });

  it('comes when accounting was never reached, and there is nothing to void', async () => {
    const stage = stageWith([text('x')], (on) => {
      on.accounting.isAway = true;
      on.accounting.isAmbiguous = false;
    });
    expect(codeOf((await readAll(stage.start())).error)).toBe('ACCOUNTING_UNAVAILABLE');
    expect([stage.settler.waiting, stage.journal.rows.size]).toEqual([0, 0]);
  });

  it('that answers only the second attempt does not prove that there is no hold: it is voided', async () => {
    const stage = stageWith([text('x')], (on) => {
      on.accounting.available = 0;
      on.accounting.isAmbiguous = true;
    });
    expect(codeOf((await readAll(stage.start())).error)).toBe('INSUFFICIENT_CREDITS');
    expect(stage.settler.waiting).toBe(1);
    await stage.settler.tick();
    expect([stage.accounting.tombstones.length, stage.settler.waiting, stage.journal.rows.size]).toEqual([1, 0, 0]);
  });

  it('comes when the journal cannot be written, and the hold is voided', async () => {
    const stage = stageWith([text('x')], (on) => {
      on.journal.isAway = true;
    });
    expect(codeOf((await readAll(stage.start())).error)).toBe('DEPENDENCY_UNAVAILABLE');
    expect(stage.log).not.toContain('upstream');
    stage.journal.isAway = false;
    await stage.settler.tick();
    expect([stage.accounting.openHolds(), stage.accounting.available]).toEqual([0, 10_000]);
  });

  it('comes for somebody else’s session, and for one that is answering', async () => {
    const stage = stageWith([text('x')]);
    const first = await readAll(stage.start());
    const sessionId = first.events[0]?.data as SessionId;
    const row = stage.sessions.rows.get(sessionId);
    if (!row) throw new Error('the session is gone');
    stage.sessions.rows.set(sessionId, { ...row, leaseId: stage.accounting.endings[0]?.holdId as never });
    expect(codeOf((await readAll(stage.start({ sessionId }))).error)).toBe('SESSION_BUSY');
    stage.sessions.rows.set(sessionId, { ...row, userId: BOB });
    expect(codeOf((await readAll(stage.start({ sessionId }))).error)).toBe('NOT_FOUND');
    expect(stage.log.filter((entry) => entry === 'hold')).toHaveLength(1);
  });
});

describe('a hold', () => {
  it('reserves a message only, for a flow that never reports usage', async () => {
    const stage = stageWith([text('x')], (on) => {
      on.accounting.available = 1;
    });
    const { error } = await readAll(stage.start({ question: 'long '.repeat(2000) }));
    expect(error).toBeUndefined();
    expect(stage.accounting.available).toBe(0);
  });

  it('is raised to tokens before the upstream is asked when messages are free', async () => {
    const stage = stageWith([text('x')], (on) => {
      on.accounting.price = TOKEN_PRICE;
    });
    await readAll(stage.start());
    expect(stage.log.indexOf('extend')).toBeLessThan(stage.log.indexOf('upstream'));
    stage.accounting.available = 10;
    expect(codeOf((await readAll(stage.start())).error)).toBe('INSUFFICIENT_CREDITS');
    await stage.settler.tick();
    expect([stage.accounting.openHolds(), stage.accounting.available]).toEqual([0, 10]);
  });

  it('grows at 80 % for an upstream that keeps to no limit', async () => {
    const stage = stageWith(
      Array.from({ length: 900 }, () => text('x')),
      (on) => {
        on.chatflows.set(AGENTFLOW.id, AGENTFLOW);
        on.accounting.price = TOKEN_PRICE;
        on.accounting.available = 5000;
      },
    );
    const { error } = await readAll(stage.start());
    expect([error, stage.log.filter((entry) => entry === 'extend').length]).toEqual([undefined, 1]);
    expect(stage.accounting.available).toBe(4100);
  });

  const pieces = Array.from({ length: 1200 }, () => text('x'));
  it.each([
    ['INSUFFICIENT_CREDITS', 'one by one', pieces],
    ['BUDGET_EXCEEDED', 'one by one', pieces],
    ['INSUFFICIENT_CREDITS', 'all in one read', [pieces]],
  ] as const)(
    'that cannot grow (%s, %s) is used up before the answer ends, which is told and settled as far as it was produced',
    async (code, _, steps) => {
      const stage = stageWith([...steps], (on) => {
        on.chatflows.set(AGENTFLOW.id, AGENTFLOW);
        on.accounting.price = TOKEN_PRICE;
        on.accounting.available = 1024;
        on.accounting.shortOf = code;
      });
      const { events, error } = await readAll(stage.start());
      expect([codeOf(error), names(events).includes('end')]).toEqual([code, false]);
      expect(names(events).filter((name) => name === 'token')).toHaveLength(1025);
      expect([stage.accounting.available, stage.log.filter((entry) => entry === 'extend').length]).toEqual([0, 1]);
      expect(stage.upstream.returned).toBe(1);
    },
  );

  it('grows by what the balance buys, so that 1,100 credits pay for an answer of 1,100 tokens', async () => {
    const stage = stageWith(
      Array.from({ length: 1100 }, () => text('x')),
      (on) => {
        on.chatflows.set(AGENTFLOW.id, AGENTFLOW);
        on.accounting.price = TOKEN_PRICE;
        on.accounting.available = 1100;
      },
    );
    const { events, error } = await readAll(stage.start());
    expect([error, names(events).at(-1), stage.accounting.available]).toEqual([undefined, 'end', 0]);
  });

  it('of a model without usage is never exceeded by our own count', async () => {
    const stage = stageWith(
      Array.from({ length: 1024 }, () => text('sixteen letters.')),
      withModel,
    );
    await readAll(stage.start({ chatflowId: MODEL.id }));
    expect(stage.accounting.available).toBe(10_000 - 1024);
  });

  it('does not end an answer because accounting is away while it should grow', async () => {
    const steps = Array.from({ length: 1000 }, () => text('x'));
    const stage = stageWith([...steps.slice(0, 10), () => void (stage.accounting.isAway = true), ...steps], (on) => {
      on.chatflows.set(AGENTFLOW.id, AGENTFLOW);
      on.accounting.price = TOKEN_PRICE;
      on.accounting.available = 5000;
    });
    const { error } = await readAll(stage.start());
    expect(error).toBeUndefined();
    stage.accounting.isAway = false;
    stage.clock.advance(1000);
    await stage.settler.tick();
    expect(stage.accounting.available).toBe(5000 - 1010);
  });

  it('of a model is the limit of tokens it is given', async () => {
    const stage = stageWith([text('x')], withModel);
    stage.accounting.available = 5000;
    stage.chatflows.set(MODEL.id, { ...MODEL, maxOutputTokens: 300 });
    await readAll(stage.start({ chatflowId: MODEL.id }));
    expect(stage.upstream.prompts).toMatchObject([{ maxOutput: 300 }]);
  });
});
