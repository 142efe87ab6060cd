import { describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import type { AbsentUsage } from '../../src/domain/price.ts';
import { Reply } from '../../src/domain/reply.ts';
import { createDrain } from '../../src/flows/answers/drain-answer.ts';
import { AGENTFLOW, MODEL, TOKEN_PRICE } from '../fixtures/doubles.ts';
import { codeOf, namesOf, readAll, type Step, stageWith, text, withModel } from '../fixtures/flow-stage.ts';

const pieces = (count: number): Step[] => Array.from({ length: count }, () => text('x'));
const usage = (output: number): Step => ({ kind: 'usage', usage: { input: 0, cacheRead: 0, output, raw: {} } });
const completion = (choices: number) => ({
  messages: [{ role: 'user', content: 'q' }],
  parameters: {},
  choices,
  inputBytes: 9,
});

describe('several choices', () => {
  it('are reserved together, and each is limited to its share', async () => {
    const stage = stageWith([text('x'), usage(12)], withModel);
    await readAll(stage.start({ chatflowId: MODEL.id, isStateless: true, completion: completion(4) }));
    expect(stage.upstream.prompts).toMatchObject([{ maxOutput: 1024 }]);
    // A credit a token: the first line of the log of money is the reservation.
    expect(stage.accounting.endings).toMatchObject([{ ending: { units: { output: 12 } } }]);
    expect(stage.accounting.holds()[0]?.units.output).toBe(4096);
  });

  it('extend and are cut together: four that make too much end where the money does', async () => {
    const stage = stageWith(pieces(6000), (own) => {
      withModel(own);
      own.accounting.available = 5000;
    });
    const asked = { chatflowId: MODEL.id, isStateless: true, completion: completion(4) };
    const { error } = await readAll(stage.start(asked));
    expect(codeOf(error)).toBe('INSUFFICIENT_CREDITS');
    expect([stage.accounting.available, stage.accounting.openHolds()]).toEqual([0, 0]);
  });
});

describe('an extension that accounting has no time for', () => {
  it.each(['RATE_LIMITED', 'IDEMPOTENCY_IN_PROGRESS'] as const)(
    '(%s) does not end the answer; it is asked for again, and the charge is what was produced',
    async (code) => {
      const stage = stageWith([...pieces(1500), usage(1500)], (own) => {
        own.chatflows.set(AGENTFLOW.id, AGENTFLOW);
        own.accounting.price = TOKEN_PRICE;
        own.accounting.refusesExtension.push(new AppError(code), new AppError(code));
      });
      const { events, error } = await readAll(stage.start({ chatflowId: AGENTFLOW.id }));
      expect([error, namesOf(events).at(-1)]).toEqual([undefined, 'end']);
      expect(stage.log.filter((entry) => entry === 'extend').length).toBeGreaterThanOrEqual(3);
      expect(stage.accounting.available).toBe(10_000 - 1500);
    },
  );

  it.each(['HOLD_CLOSED', 'ACCOUNT_DISABLED'] as const)('but one it has refused (%s) does', async (code) => {
    const stage = stageWith(pieces(1500), (own) => {
      own.chatflows.set(AGENTFLOW.id, AGENTFLOW);
      own.accounting.price = TOKEN_PRICE;
      own.accounting.refusesExtension.push(new AppError(code));
    });
    const { error } = await readAll(stage.start({ chatflowId: AGENTFLOW.id }));
    expect(codeOf(error)).toBe(code);
    expect(stage.accounting.openHolds()).toBe(0);
  });
});

describe('a finished answer without usage is charged', () => {
  const charged = async (absentUsage: AbsentUsage, steps: Step[], chatflow = MODEL) => {
    const prepare = (own: Parameters<typeof withModel>[0]) => {
      own.chatflows.set(chatflow.id, chatflow);
      own.accounting.price = TOKEN_PRICE;
    };
    const stage = stageWith(steps, prepare, { absentUsage });
    const { events, error } = await readAll(stage.start({ chatflowId: chatflow.id }));
    const told = Object(events.find(({ event }) => event === 'usage')?.data).credits;
    expect(stage.accounting.openHolds()).toBe(0);
    return { credits: 10_000 - stage.accounting.available, told, code: codeOf(error), last: namesOf(events).at(-1) };
  };

  it.each([
    ['estimate', { credits: 3, told: 3, code: undefined, last: 'end' }],
    ['hold', { credits: 1024, told: 1024, code: undefined, last: 'end' }],
    ['free', { credits: 0, told: 0, code: undefined, last: 'end' }],
    // Like every answer that breaks off: what was produced, by our own count.
    ['fail', { credits: 3, told: undefined, code: 'UPSTREAM_PROTOCOL_ERROR', last: 'token' }],
  ] as const)('as the installation says: %s', async (policy, expected) => {
    expect(await charged(policy, pieces(3))).toEqual(expected);
    // Usage that cannot be believed is none.
    expect(await charged(policy, [...pieces(3), { kind: 'bad-usage' }])).toEqual(expected);
  });

  it.each(['hold', 'free', 'fail'] as const)(
    'by its usage when there is one, whatever is said (%s)',
    async (policy) => {
      const asUsual = { credits: 7, told: 7, code: undefined, last: 'end' };
      expect(await charged(policy, [...pieces(3), usage(7)])).toEqual(asUsual);
    },
  );
});

describe('a client that leaves an upstream which bills on', () => {
  const timers: (() => void)[] = [];
  const drainOf = (atOnce: number) =>
    createDrain({
      upstreams: new Set(['openai']),
      atOnce,
      longestMs: 30_000,
      after: (_ms, work) => {
        timers.push(work);
        return () => void timers.splice(timers.indexOf(work), 1);
      },
    });

  /** Leaves after the first token. */
  async function leave(steps: Step[], drain = drainOf(1), chatflow = MODEL) {
    timers.length = 0;
    const prepare = (own: Parameters<typeof withModel>[0]) => {
      own.chatflows.set(chatflow.id, chatflow);
      own.accounting.price = TOKEN_PRICE;
    };
    const stage = stageWith(steps, prepare, { drain });
    const client = new AbortController();
    const answer = stage.start({ chatflowId: chatflow.id }, client.signal);
    await answer.next();
    await answer.next();
    client.abort();
    const over = answer.return();
    return { stage, over };
  }
  const REST = [text('one'), text('two'), text('three'), usage(3)];

  it.each([
    ['part by part', REST],
    ['in few reads', [text('one'), [text('two'), text('three'), usage(3)] as Step]],
  ])('pays exactly what the upstream reports at the end of the answer that nobody reads, %s', async (_, steps) => {
    const { stage, over } = await leave(steps);
    await over;
    expect(stage.accounting.endings).toMatchObject([
      { ending: { kind: 'settle', outcome: 'aborted', units: { output: 3 }, usageSource: 'provider' } },
    ]);
    expect([stage.upstream.returned, timers.length]).toEqual([1, 0]);
  });

  it('pays also for what came together with what it read, while its hold had to grow', async () => {
    const grows = text('x'.repeat(8000));
    const flow = { ...AGENTFLOW, upstream: 'openai' };
    const { stage, over } = await leave([[grows, text('two'), usage(2002)] as Step], drainOf(1), flow);
    await over;
    expect(stage.accounting.endings).toMatchObject([
      { ending: { kind: 'settle', outcome: 'aborted', units: { output: 2002 }, usageSource: 'provider' } },
    ]);
  });

  it('is not waited for beyond the limit of time: then what came is charged', async () => {
    const { stage, over } = await leave([text('one'), text('two'), 'hang']);
    await new Promise(setImmediate);
    expect([stage.accounting.openHolds(), timers.length]).toEqual([1, 1]);
    timers[0]?.();
    await over;
    expect(stage.accounting.endings).toMatchObject([{ ending: { units: { output: 2 }, usageSource: 'estimated' } }]);
    expect([stage.accounting.openHolds(), stage.upstream.returned]).toEqual([0, 1]);
  });

  it('is not read on when so many are already, nor when its upstream stops at once', async () => {
    for (const [drain, chatflow] of [
      [drainOf(0), MODEL],
      [drainOf(1), AGENTFLOW],
    ] as const) {
      const { stage, over } = await leave(REST, drain, chatflow);
      await over;
      expect(stage.accounting.endings).toMatchObject([{ ending: { units: { output: 1 }, usageSource: 'estimated' } }]);
    }
  });

  it('gives its place back, so that the next one is read on as well', async () => {
    const drain = drainOf(1);
    for (let at = 0; at < 3; at += 1) {
      const { stage, over } = await leave(REST, drain);
      await over;
      expect(stage.accounting.endings).toMatchObject([{ ending: { units: { output: 3 } } }]);
    }
  });

  it('before the first token pays nothing and is stopped at once', async () => {
    const stage = stageWith(['hang'], withModel, { drain: drainOf(1) });
    const client = new AbortController();
    const first = stage.start({ chatflowId: MODEL.id }, client.signal).next();
    await new Promise(setImmediate);
    client.abort();
    await expect(first).rejects.toThrow();
    expect(stage.accounting.endings).toMatchObject([{ ending: { kind: 'void' } }]);
  });
});

describe('the meter', () => {
  const count = (said: string, inPieces: number): Reply => {
    const reply = new Reply({ promptBytes: said.length, keeps: true });
    const size = Math.ceil(said.length / inPieces);
    for (let at = 0; at < said.length; at += size) reply.add({ kind: 'text', text: said.slice(at, at + size) });
    return reply;
  };
  const cpuOf = (work: () => unknown): number => {
    const began = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(began);
    return Math.max(1, user + system);
  };

  it('takes time in proportion to the text, also for a megabyte without a break', () => {
    const quarter = 'x'.repeat(256 * 1024);
    const whole = quarter.repeat(4);
    for (const perPiece of [64, 8192, 1024 * 1024]) {
      const run = (said: string) =>
        cpuOf(() => Array.from({ length: 20 }, () => count(said, said.length / perPiece).text));
      run(quarter);
      // Four times the text: a quadratic meter needs 16 times as long.
      expect(run(whole) / run(quarter)).toBeLessThan(12);
    }
    expect(count(whole, 1).meteredOutput).toBe(262_144);
  });
});
