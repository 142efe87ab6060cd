import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from '@jest/globals';
import { eventually } from '@tollgate/test-kit';
import { KeptEvents, bytesOf, type Place } from '../../src/flows/streams/kept-events.ts';

const event = (number: number) =>
  number % 7 === 0
    ? { event: 'nextAgentFlow', data: { number, said: 'ü'.repeat(number % 90) } }
    : { event: 'token', data: `${number} ${'\ud800x'.repeat(number % 300)}` };

it('gives every event back by its number, also what is packed, and forgets the oldest but nothing unread', () => {
  const kept = new KeptEvents();
  const place: Place = {};
  const all = Array.from({ length: 2000 }, (_, at) => event(at + 1));
  for (const each of all) kept.add(each);
  expect([kept.first, kept.last, kept.bytes]).toEqual([1, 2000, all.reduce((sum, each) => sum + bytesOf(each), 0)]);
  expect(all.map((_, at) => kept.at(at + 1, place))).toEqual(all);
  expect(kept.from(1500)).toEqual(all.slice(1499));

  const unread = all.slice(900).reduce((sum, each) => sum + bytesOf(each), 0);
  const before = kept.bytes;
  expect(kept.shrink(0, unread)).toBe(before - kept.bytes);
  expect(kept.bytes).toBeGreaterThanOrEqual(unread);
  expect([kept.first > 1, kept.first <= 901]).toEqual([true, true]);
  expect(kept.from(kept.first)).toEqual(all.slice(kept.first - 1));
  expect(kept.at(kept.first - 1)).toBeUndefined();

  kept.shrink(0, 0);
  expect([kept.bytes, kept.first, kept.last, kept.from(kept.first), kept.lastEvent]).toEqual([
    0,
    2001,
    2000,
    [],
    undefined,
  ]);
  kept.add(event(1));
  expect([kept.at(2001), kept.last]).toEqual([event(1), 2001]);
});

it('takes no more memory than it says, also when an answer that was kept at the same time has been forgotten', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const buffersNow = (): number => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers;
  };
  const before = buffersNow();
  const [kept, forgotten] = [new KeptEvents(), new KeptEvents()];
  const piece = { event: 'token', data: 'x'.repeat(1000) };
  for (let at = 0; at < 8000; at += 1) for (const answer of [kept, forgotten]) answer.add(piece);
  forgotten.shrink(0, 0);
  // The engine gives buffers back some time after it has found that nobody has them.
  const isGivenBack = async () => buffersNow() - before < kept.bytes * 1.25 || undefined;
  await eventually(isGivenBack, 'the memory of what was forgotten');
  expect(kept.from(1)).toHaveLength(8000);
});

it('gives the memory of what it forgets back at once, and waits for no collection of garbage', () => {
  const MIB = 1024 * 1024;
  const kept = new KeptEvents();
  for (let at = 0; at < 16_384; at += 1) kept.add({ event: 'token', data: 'x'.repeat(1024) });
  const before = process.memoryUsage().arrayBuffers;
  kept.shrink(4 * MIB, 0);
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThan(10 * MIB);
  expect(kept.from(kept.first).every(({ data }) => data === 'x'.repeat(1024))).toBe(true);
});
