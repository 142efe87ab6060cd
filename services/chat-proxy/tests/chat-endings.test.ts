import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import { MODEL } from './fixtures/doubles.ts';
import { codeOf, METADATA, namesOf as names, readAll, stageWith, text, withModel } from './fixtures/flow-stage.ts';

describe('one settlement, whatever ends it:', () => {
  const STEPS = [text('one'), text(' two'), text(' three')];

  it.each([1, 2, 3, 4, 5, 6])('the client leaves after event %i', async (count) => {
    const stage = stageWith(STEPS, withModel);
    const answer = stage.start({ chatflowId: MODEL.id });
    for (let read = 0; read < count; read += 1) await answer.next();
    await answer.return();
    const produced = Math.min(3, Math.max(1, count - 1));
    expect(stage.accounting.endings).toHaveLength(1);
    expect(stage.accounting.endings[0]?.ending).toMatchObject({
      kind: 'settle',
      outcome: count > 4 ? 'completed' : 'aborted',
    });
    expect(stage.accounting.available).toBeLessThanOrEqual(10_000 - produced);
    expect([stage.accounting.openHolds(), stage.upstream.returned, stage.journal.rows.size]).toEqual([0, 1, 0]);
    expect(stage.messages.saved).toHaveLength(2);
  });

  it('the client leaves while the upstream is silent before the first token', async () => {
    const stage = stageWith(['hang']);
    const client = new AbortController();
    const first = stage.start({}, client.signal).next();
    await Promise.resolve();
    client.abort();
    await expect(first).rejects.toThrow();
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'void' } }]);
    expect([stage.accounting.available, stage.upstream.returned, stage.sessions.rows.size]).toEqual([10_000, 1, 0]);
    expect(stage.messages.saved).toEqual([]);
  });

  it('the client leaves while the upstream is silent in the middle', async () => {
    const stage = stageWith([text('one'), 'hang'], withModel);
    const client = new AbortController();
    const answer = stage.start({ chatflowId: MODEL.id }, client.signal);
    await answer.next();
    await answer.next();
    const next = answer.next();
    client.abort();
    await expect(next).rejects.toThrow();
    expect(stage.accounting.endings).toMatchObject([
      { ending: { kind: 'settle', outcome: 'aborted', units: { output: 1 } } },
    ]);
    expect(stage.messages.saved.at(-1)).toMatchObject({ content: 'one', status: 'aborted', credits: 1 });
  });

  it.each(['UPSTREAM_FAILED', 'UPSTREAM_TIMEOUT', 'UPSTREAM_UNAVAILABLE'] as const)(
    'the upstream fails with %s before the first token',
    async (code) => {
      const stage = stageWith([
        { kind: 'usage', usage: { input: 5, cacheRead: 0, output: 0, raw: {} } },
        new AppError(code),
      ]);
      const { events, error } = await readAll(stage.start({ stores: false }));
      expect(codeOf(error)).toBe(code);
      expect(names(events)).not.toContain('end');
      expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'void' } }]);
    },
  );

  it('the upstream fails in the middle', async () => {
    const stage = stageWith([...STEPS, new AppError('UPSTREAM_INTERRUPTED')], withModel);
    const { events, error } = await readAll(stage.start({ chatflowId: MODEL.id }));
    expect([names(events), codeOf(error)]).toEqual([['session_id', 'token', 'token', 'token'], 'UPSTREAM_INTERRUPTED']);
    expect(stage.accounting.endings).toMatchObject([
      { ending: { outcome: 'failed', units: { output: 3 }, usageSource: 'estimated' } },
    ]);
    expect(stage.messages.saved.at(-1)).toMatchObject({ status: 'failed' });
  });

  it('the upstream fails without a word: nothing of the question stays in the conversation', async () => {
    const stage = stageWith([METADATA, new AppError('UPSTREAM_INTERRUPTED')]);
    const { events, error } = await readAll(stage.start());
    expect([names(events), codeOf(error)]).toEqual([['session_id', 'metadata'], 'UPSTREAM_INTERRUPTED']);
    expect(stage.messages.saved).toEqual([]);
    expect([...stage.sessions.rows.values()]).toMatchObject([{ topic: '', firstMessage: '', messageCount: 0 }]);
  });

  it('this process must stop', async () => {
    const stage = stageWith([text('one'), () => stage.stopping.abort(new AppError('SERVER_SHUTDOWN')), 'hang']);
    const { error } = await readAll(stage.start());
    expect(codeOf(error)).toBe('SERVER_SHUTDOWN');
    expect(stage.accounting.endings).toHaveLength(1);
  });

  it.each([
    ['closed', undefined, 'HOLD_CLOSED'],
    ['unknown', undefined, 'HOLD_CLOSED'],
    ['fenced', undefined, 'HOLD_FENCED'],
    ['stopped', 'account_disabled', 'ACCOUNT_DISABLED'],
    ['stopped', 'workspace_disabled', 'ACCOUNT_DISABLED'],
    ['stopped', 'key_revoked', 'KEY_REVOKED'],
  ] as const)('accounting answers a renewal with %s (%s)', async (outcome, reason, code) => {
    const stage = stageWith([text('one'), () => void stage.keeper.renew(), 'hang']);
    const answer = stage.start();
    await answer.next();
    for (const holdId of stage.journal.rows.keys()) stage.accounting.lost.push({ holdId, outcome, reason });
    const { error } = await readAll(answer);
    expect(codeOf(error)).toBe(code);
    expect(stage.told).toContainEqual({ name: 'hold_lost', fact: expect.objectContaining({ how: outcome }) });
    expect(stage.accounting.endings).toHaveLength(1);
  });

  it('accounting is away at the end: it is repeated with growing pauses until it is acknowledged', async () => {
    const stage = stageWith([text('one'), () => void (stage.accounting.isAway = true)]);
    const { events } = await readAll(stage.start());
    expect(names(events).at(-1)).toBe('end');
    expect([stage.settler.waiting, stage.journal.rows.size]).toEqual([1, 1]);
    for (const pause of [499, 1]) {
      stage.clock.advance(pause);
      await stage.settler.tick();
    }
    expect(stage.log.filter((entry) => entry === 'settle')).toHaveLength(2);
    stage.accounting.isAway = false;
    stage.clock.advance(1000);
    await stage.settler.tick();
    expect([stage.settler.waiting, stage.journal.rows.size, stage.accounting.available]).toEqual([0, 0, 9999]);
    expect(stage.accounting.endings).toHaveLength(1);
  });

  it('the database is away at the end: the settlement does not wait for it, and the message is saved later', async () => {
    const away = (isAway: boolean) => {
      stage.journal.isAway = isAway;
      stage.sessions.isAway = isAway;
      stage.messages.isAway = isAway;
    };
    const stage = stageWith([text('one'), () => away(true)]);
    await readAll(stage.start());
    expect([stage.accounting.endings.length, stage.messages.saved.length, stage.saveLater.waiting]).toEqual([1, 0, 1]);
    away(false);
    stage.clock.advance(1000);
    await Promise.all([stage.saveLater.tick(), stage.settler.tick()]);
    expect([stage.messages.saved.length, stage.journal.rows.size, stage.saveLater.waiting]).toEqual([2, 0, 0]);
    expect(stage.accounting.available).toBe(9999);
  });
});

describe('the journal', () => {
  it('knows the progress of a running answer after 256 tokens, and whose it is', async () => {
    const stage = stageWith([...Array.from({ length: 300 }, () => text('x')), 'hang'], withModel);
    const client = new AbortController();
    const answer = stage.start({ chatflowId: MODEL.id }, client.signal);
    for (let read = 0; read < 301; read += 1) await answer.next();
    const [row] = stage.journal.rows.values();
    expect(row?.checkpoint?.output).toBe(256);
    await stage.keeper.note();
    expect([...stage.journal.rows.values()][0]?.checkpoint?.output).toBe(300);
    await stage.keeper.renew();
    expect(stage.accounting.renewals).toMatchObject([{ checkpoint: { output: 300 } }]);
    await answer.return().catch(() => undefined);
    client.abort();
  });

  it('says nothing billable before the first token', async () => {
    const stage = stageWith(['hang']);
    const client = new AbortController();
    const first = stage.start({}, client.signal).next();
    await Promise.all([Promise.resolve(), stage.keeper.renew()]);
    stage.clock.advance(20_000);
    await stage.keeper.note();
    expect([...stage.journal.rows.values()].every(({ checkpoint }) => checkpoint === undefined)).toBe(true);
    client.abort();
    await expect(first).rejects.toThrow();
  });
});

describe('a conversation at Flowise', () => {
  it('keeps its slot while answers end well, and gets another after one that did not', async () => {
    const stage = stageWith([text('x')]);
    const first = await readAll(stage.start());
    const sessionId = String(first.events[0]?.data);
    await readAll(stage.start({ sessionId }));
    const broken = stage.start({ sessionId });
    await broken.next();
    await broken.return();
    await readAll(stage.start({ sessionId }));
    const slots = stage.upstream.prompts.map((prompt) => Object(prompt).upstreamChatId);
    expect(new Set(slots.slice(0, 3)).size).toBe(1);
    expect(slots[3]).not.toBe(slots[0]);
    expect(new Set(stage.upstream.prompts.map((prompt) => Object(prompt).upstreamMemoryId)).size).toBe(1);
    expect(slots).not.toContain(sessionId);
  });
});
