import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AppError } from '@tollgate/http-kit';
import type { ChatflowId } from '../../src/domain/wire-types.ts';
import { createSyncChatflows } from '../../src/flows/chatflows/sync-chatflows.ts';
import { createSyncInTurn } from '../../src/flows/chatflows/sync-in-turn.ts';
import type { FoundChatflow } from '../../src/ports.ts';
import { found, type Library, MINUTE, openLibrary } from '../fixtures/library-stage.ts';

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.mongo.close());
beforeEach(() => library.reset());

describe('a synchronisation', () => {
  const catalogue = (upstream: string, ids: readonly string[]) => ({
    upstream,
    ids,
    fails: false,
    asked: 0,
    async list(): Promise<FoundChatflow[]> {
      this.asked += 1;
      if (this.fails) throw new AppError('UPSTREAM_UNAVAILABLE', 'http://internal.example refused');
      return this.ids.map((id) => found(id, upstream));
    },
  });
  function stage() {
    const flows = catalogue('flowise', ['f1', 'f2', 'f3', 'f4']);
    const models = catalogue('openai', ['m1', 'm2']);
    const told: string[] = [];
    const tell = (_: string, fact: object) => void told.push(String(Object(fact).outcome));
    const { chatflows, turns } = library.instance();
    const syncOf = (catalogues: readonly (typeof flows)[]) =>
      createSyncChatflows({ catalogues, chatflows, clock: library.clock, tell, mostDeletedPercent: 50 });
    const active = async () => (await chatflows.list({ includeDeleted: false })).map(({ id }) => id);
    return { flows, models, told, chatflows, turns, sync: syncOf([flows, models]), syncOf, active };
  }

  it('keeps the flows of an upstream that fails, says so without its address, and brings the others up to date', async () => {
    const { flows, models, sync, active } = stage();
    await sync();
    flows.fails = true;
    models.ids = ['m1', 'm2', 'm3'];
    expect(await sync()).toEqual({
      fetched: 3,
      created: 1,
      updated: 0,
      deleted: 0,
      errors: ['flowise: could not be listed (upstream_unavailable)'],
    });
    expect(await active()).toEqual(['f1', 'f2', 'f3', 'f4', 'm1', 'm2', 'm3']);
    models.fails = true;
    await expect(sync()).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  });

  it('counts what would be deleted for each upstream by itself', async () => {
    const { flows, models, sync, active, told } = stage();
    await sync();
    models.ids = [];
    flows.ids = ['f1', 'f2', 'f3'];
    await expect(sync()).rejects.toMatchObject({
      code: 'SYNC_REFUSED',
      detail: '2 of 2 chatflows of openai would be deleted',
    });
    expect([await active(), told]).toEqual([
      ['f1', 'f2', 'f3', 'f4', 'm1', 'm2'],
      ['done', 'refused'],
    ]);
    expect(await sync({ isUnattended: true })).toMatchObject({
      deleted: 1,
      errors: ['2 of 2 chatflows of openai would be deleted'],
    });
    expect(await active()).toEqual(['f1', 'f2', 'f3', 'm1', 'm2']);
    expect(await sync({ allowMassDeletion: true })).toMatchObject({ deleted: 2, errors: [] });
    expect(await active()).toEqual(['f1', 'f2', 'f3']);
  });

  it('keeps the flows of an upstream that was taken out of the configuration until that is meant', async () => {
    const { models, sync, syncOf, active } = stage();
    await sync();
    const left = await syncOf([models])();
    expect(left).toMatchObject({
      deleted: 0,
      errors: [expect.stringContaining('flowise: is not configured any more; its 4')],
    });
    expect(await active()).toHaveLength(6);
    expect(await syncOf([models])({ allowMassDeletion: true })).toMatchObject({ deleted: 4, errors: [] });
    expect(await active()).toEqual(['m1', 'm2']);
  });

  it('is done by one of many instances, and again when its turn is over', async () => {
    const { flows, sync, turns } = stage();
    const inTurn = createSyncInTurn({ sync, turns, clock: library.clock, turnMs: 4 * MINUTE });
    await Promise.all(Array.from({ length: 20 }, () => inTurn()));
    expect(flows.asked).toBe(1);
    library.clock.advance(4 * MINUTE);
    await Promise.all(Array.from({ length: 20 }, () => inTurn()));
    expect(flows.asked).toBe(2);
  });

  it('that began earlier and ends later does not undo a later one', async () => {
    const { flows, syncOf, chatflows, active } = stage();
    await syncOf([flows])();
    const slow = catalogue('flowise', flows.ids);
    const { promise, resolve } = Promise.withResolvers<void>();
    const list = slow.list.bind(slow);
    slow.list = async () => {
      const rows = await list();
      await promise;
      return rows;
    };
    library.clock.advance(1);
    const early = syncOf([slow])();
    library.clock.advance(1);
    flows.ids = ['f1', 'f2', 'f3', 'f5'];
    await syncOf([flows])();
    resolve();
    await early;
    expect(await active()).toEqual(['f1', 'f2', 'f3', 'f5']);
    expect((await chatflows.find('f4' as ChatflowId))?.syncStatus).toBe('deleted');
  });

  it('leaves alone what administrators set at the same moment', async () => {
    const { flows, sync, chatflows } = stage();
    await sync();
    const id = 'f1' as ChatflowId;
    await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        if (n % 2 === 0) return chatflows.configure(id, { requestsPerMinute: n + 1, publicOverride: true });
        flows.ids = ['f1', 'f2', 'f3', 'f4', `g${n % 4}`];
        return sync({ isUnattended: true });
      }),
    );
    const chatflow = await chatflows.find(id);
    expect(chatflow).toMatchObject({ publicOverride: true, syncStatus: 'active', name: 'f1' });
    expect(chatflow?.requestsPerMinute).not.toBeNull();
  });
});
