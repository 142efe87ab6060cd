import { expect, it } from '@jest/globals';
import { remembered } from '../../src/store/chatflows/remembered.ts';

const FRESH_MS = 2000;

/** What another process may change, or keep from being read; each reading is answered by hand. */
function stageOf() {
  const readings: PromiseWithResolvers<{ version: number } | undefined>[] = [];
  const load = () => {
    const reading = Promise.withResolvers<{ version: number } | undefined>();
    readings.push(reading);
    return reading.promise;
  };
  let now = 1;
  const known = remembered(load, { freshMs: FRESH_MS, most: 10, now: () => now });
  return { readings, read: () => known.read('key'), pass: (part: number) => void (now += FRESH_MS * part) };
}

async function stageWithFirst() {
  const stage = stageOf();
  const first = stage.read();
  stage.readings[0]?.resolve({ version: 1 });
  await first;
  return stage;
}

it('is read again before it is too old while somebody asks for it, so that nobody waits for the database', async () => {
  const { readings, read, pass } = await stageWithFirst();
  for (let version = 2; version < 6; version += 1) {
    pass(0.5);
    expect(await read()).toEqual({ version: version - 1 });
    expect(readings).toHaveLength(version - 1);
    pass(0.3);
    expect([await read(), await read()]).toEqual([{ version: version - 1 }, { version: version - 1 }]);
    expect(readings).toHaveLength(version);
    readings.at(-1)?.resolve({ version });
    await readings.at(-1)?.promise;
    expect(await read()).toEqual({ version });
  }
});

it('is never older than it may be, whatever becomes of the reading ahead', async () => {
  for (const end of ['fails', 'hangs', 'finds nothing'] as const) {
    const { readings, read, pass } = await stageWithFirst();
    pass(0.9);
    expect(await read()).toEqual({ version: 1 });
    if (end === 'fails') readings[1]?.reject(new Error('away'));
    if (end === 'finds nothing') readings[1]?.resolve(undefined);
    if (end !== 'hangs') await readings[1]?.promise.catch(() => undefined);
    pass(end === 'hangs' ? 2 : 0.2);
    const late = read();
    expect([end, readings.length]).toEqual([end, 3]);
    readings[2]?.resolve({ version: 3 });
    expect(await late).toEqual({ version: 3 });
  }
});
