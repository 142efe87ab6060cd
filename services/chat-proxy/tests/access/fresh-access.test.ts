import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manualClock, newUserId } from '@tollgate/test-kit';
import type { ChatflowId, UserId } from '../../src/domain/wire-types.ts';
import { createAnswerLimits } from '../../src/flows/limits/limit-answers.ts';
import { createSlots } from '../../src/flows/limits/hold-slots.ts';
import { createSharedRate } from '../../src/flows/limits/shared-rate.ts';
import type { Asker } from '../../src/ports.ts';
import { chatflowsIn } from '../../src/store/chatflows/chatflows.ts';
import { answerSlotsIn, rateCountsIn } from '../../src/store/streams/answer-counts.ts';
import { codeOf } from '../fixtures/flow-stage.ts';
import { found, type Library, openLibrary } from '../fixtures/library-stage.ts';

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.mongo.close());

it.each([0, 1])(
  'an access that another process takes away ends within CHATFLOW_FRESHNESS, also when that is %d ms',
  async (freshMs) => {
    const [one, other] = [0, 1].map(() => chatflowsIn(library.mongo, { freshMs, defaultWorkspaceId: 'default' }));
    if (!one || !other) throw new Error('two processes were asked for');
    const id = randomUUID() as ChatflowId;
    const alice = { userId: newUserId() as UserId, username: 'alice', email: 'alice@example.test' };
    await one.save(found(id), new Date());
    await one.assign(id, alice, new Date());
    expect(await one.findFor(alice, id)).toMatchObject({ id });
    await other.unassign(id, alice.email);
    expect(await one.findFor(alice, id)).toBeUndefined();
  },
);

it('a user has the same requests in all workspaces together', async () => {
  const clock = manualClock();
  const counts = rateCountsIn(library.mongo);
  const unshared = () => undefined;
  const rate = (name: string) => createSharedRate({ counts, clock, name, windowMs: 60_000, unshared });
  const limits = createAnswerLimits({
    rates: { user: rate('user'), key: rate('key'), chatflow: rate('chatflow') },
    slots: createSlots({
      slots: answerSlotsIn(library.mongo, { instance: 'one', longestAnswerMs: 1000 }),
      clock,
      unshared,
    }),
    settings: { perUserPerMinute: 4, perKeyPerMinute: 0, parallelPerUser: 0 },
  });
  const userId = newUserId() as UserId;
  const asker = (workspaceId: string): Asker => ({ userId, workspaceId, username: 'u', token: 't', issuedAt: 0 });
  const refusals: unknown[] = [];
  for (let at = 0; at < 12; at += 1)
    await limits.admit(asker(`w-${at}`)).catch((error) => refusals.push(codeOf(error)));
  expect(refusals.length).toBeGreaterThanOrEqual(7);
  expect(new Set(refusals)).toEqual(new Set(['RATE_LIMITED']));
});
