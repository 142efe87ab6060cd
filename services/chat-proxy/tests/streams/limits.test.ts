import { describe, expect, it } from '@jest/globals';
import { unavailable } from '@tollgate/http-kit';
import { eventually, manualClock } from '@tollgate/test-kit';
import { createSlots } from '../../src/flows/limits/hold-slots.ts';
import type { HoldId } from '../../src/domain/wire-types.ts';
import { createEmbed } from '../../src/flows/openai/embed.ts';
import { holdId, MODEL } from '../fixtures/doubles.ts';
import { codeOf, createStage, readAll, type Stage, stageWith, text, withModel } from '../fixtures/flow-stage.ts';

const forEver = new AbortController().signal;
const limited = (): Stage =>
  stageWith([text('Hi')], (stage) => {
    withModel(stage);
    stage.chatflows.set(MODEL.id, { ...MODEL, requestsPerMinute: 5, parallelAnswers: 1 });
    Object.assign(stage.streams.settings, { perUserPerMinute: 10 });
  });
/** Another process has taken the only place, which this one learns from the database alone. */
const takeElsewhere = ({ streams }: Stage): unknown =>
  streams.world.slots.set(`chatflow:${MODEL.id}`, new Map([['elsewhere' as HoldId, 'two']]));

async function leftOf({ streams, asker }: Stage): Promise<string> {
  const { ratelimit = '' } = await streams.limits.admit(asker);
  return /r=(\d+)/.exec(ratelimit)?.[1] ?? '';
}

describe('a request that is refused because all places are taken', () => {
  it('takes nothing from the rates, also when it turns out only while its credits are held', async () => {
    const stage = limited();
    takeElsewhere(stage);
    expect(await leftOf(stage)).toBe('9');
    const refused = await readAll(stage.requests.chat(stage.asker, stage.ask({ chatflowId: MODEL.id }), forEver));
    expect([codeOf(refused.error), stage.log.includes('upstream')]).toEqual(['PARALLEL_LIMIT', false]);
    stage.streams.world.slots.clear();
    stage.clock.advance(3000);
    // What was given back is spent again: the count is as if the refused one had never been.
    expect(await leftOf(stage)).toBe('9');
    const answers = [];
    for (let time = 0; time < 6; time += 1)
      answers.push(
        await readAll(stage.requests.chat(stage.asker, stage.ask({ chatflowId: MODEL.id, stores: false }), forEver)),
      );
    expect(answers.map(({ error }) => codeOf(error))).toEqual([
      ...Array.from({ length: 5 }, () => undefined),
      'RATE_LIMITED',
    ]);
  });
});

describe('vectors', () => {
  const embedOn = (stage: Stage) => {
    let asked = 0;
    const embed = async () => {
      asked += 1;
      return { vectors: [[1]], usage: undefined };
    };
    stage.servers.set('openai', { ...stage.upstream, name: 'openai', kind: 'openai', embed });
    const flow = createEmbed({
      ...stage.deps,
      limits: stage.streams.limits,
      findModel: async () => stage.chatflows.get(MODEL.id) ?? MODEL,
      extraParameters: [],
    });
    const asking = { body: { model: 'priced', input: 'words' }, origin: undefined, clientHeaders: {} };
    return { ask: () => flow(stage.asker, asking, forEver), asked: () => asked };
  };

  it('have their place among the answers of a chatflow, and give it back', async () => {
    const stage = limited();
    const { ask, asked } = embedOn(stage);
    takeElsewhere(stage);
    await expect(ask()).rejects.toMatchObject({ code: 'PARALLEL_LIMIT' });
    expect([asked(), stage.accounting.openHolds()]).toEqual([0, 0]);
    stage.streams.world.slots.clear();
    stage.clock.advance(3000);
    await ask();
    await ask();
    await stage.streams.slots.tick();
    expect([asked(), [...stage.streams.world.slots.values()].flatMap((slots) => [...slots])]).toEqual([2, []]);
  });

  it('count among the requests of a chatflow', async () => {
    const stage = createStage();
    withModel(stage);
    stage.chatflows.set(MODEL.id, { ...MODEL, requestsPerMinute: 2 });
    const { ask, asked } = embedOn(stage);
    await ask();
    await ask();
    await expect(ask()).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(asked()).toBe(2);
  });
});

it('a place that is given back before it was surely taken is freed in the end, also when the database goes away in between', async () => {
  const taking = Promise.withResolvers<boolean>();
  const places = new Set<string>();
  let isAway = false;
  const slots = createSlots({
    clock: manualClock(),
    unshared: () => undefined,
    slots: {
      async take(_subject, id) {
        await taking.promise;
        places.add(id);
        return true;
      },
      async release(_subject, id) {
        if (isAway) throw unavailable('DEPENDENCY_UNAVAILABLE', 1);
        places.delete(id);
      },
    },
  });
  const id = holdId();
  const taken = slots.take('user alice', id, 1);
  slots.release('user alice', id);
  await slots.tick();
  isAway = true;
  taking.resolve(true);
  await taken;
  await eventually(async () => places.has(id) || undefined, 'the place');
  await expect(slots.tick()).rejects.toThrow();
  isAway = false;
  await slots.tick();
  expect([...places]).toEqual([]);
});
