import { describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { createRecordings } from '../../src/flows/streams/recordings.ts';
import { ALICE, holdId } from '../fixtures/doubles.ts';

const OWNER = { userId: ALICE, workspaceId: 'default' };
const MOST = 100_000;
const record = (mostBytes = 20_000) => {
  const clock = manualClock();
  const recordings = createRecordings({ clock, keptMs: 300_000, mostBytes, mostBytesInAll: MOST });
  return { recordings, clock, open: () => recordings.open(holdId(), OWNER) };
};
const TOKEN = { event: 'token', data: 'x'.repeat(436) };

describe('more recordings than there is room for', () => {
  it('stay within their bound while 1000 answers run at once, and each goes on', () => {
    const { recordings, open } = record();
    const all = Array.from({ length: 1000 }, open);
    for (let token = 0; token < 20; token += 1) for (const recording of all) recording.add(TOKEN);
    expect(recordings.bytes).toBeLessThanOrEqual(MOST);
  });

  it('let those go that are over, among them refusals of which nothing was ever said', () => {
    const { recordings, clock, open } = record();
    for (let time = 0; time < 3; time += 1) open().end(clock.now());
    const running = Array.from({ length: 8 }, open);
    for (let token = 0; token < 60; token += 1) for (const recording of running) recording.add(TOKEN);
    expect(recordings.bytes).toBeLessThanOrEqual(MOST);
    for (const recording of running) recording.end(clock.now());
    recordings.forget(open());
    expect(running.some(({ bytes }) => bytes > 0)).toBe(true);
  });

  it('keep what the fastest of their readers has not had yet', async () => {
    const { recordings, open } = record();
    const recording = open();
    const signal = new AbortController().signal;
    const reading = recording.read(0, signal);
    for (let token = 0; token < 300; token += 1) recording.add(TOKEN);
    expect(recordings.bytes).toBeGreaterThan(MOST);
    let read = 0;
    while (read < 300 && !(await reading.next()).done) read += 1;
    recording.add(TOKEN);
    expect([read, recordings.bytes <= MOST]).toEqual([300, true]);
    await reading.return();
  });
});

it('a reader that claims to have had more than there is reads on from the end, and holds nothing up', async () => {
  const { open } = record(1_000_000);
  const recording = open();
  recording.add(TOKEN);
  const reading = recording.read(999_999_999, new AbortController().signal);
  const next = reading.next();
  for (let token = 0; token < 600; token += 1) recording.add(TOKEN);
  expect(await Promise.race([next, recording.room().then(() => 'room')])).toEqual({ done: false, value: [TOKEN] });
  let read = 1;
  while (read < 600 && !(await reading.next()).done) read += 1;
  await recording.room();
  expect(read).toBe(600);
  await reading.return();
});
