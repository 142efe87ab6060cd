import { describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { createRecordings } from '../../src/flows/streams/recordings.ts';
import { createSharing } from '../../src/flows/streams/share-recordings.ts';
import type { RecordedPart } from '../../src/ports.ts';
import { ALICE, holdId } from '../fixtures/doubles.ts';

const OWNER = { userId: ALICE, workspaceId: 'default' };
const MOST_BYTES = 64 * 1024 * 1024;
/** Of one document. */
const LONGEST_DOCUMENT = 16 * 1024 * 1024;

/** Recordings of one process, and a database that takes no document that is too long, and then nothing of the whole command. */
function stage() {
  const clock = manualClock();
  let writes = 0;
  /** What goes on while it is written. */
  let said = (): void => undefined;
  const written: RecordedPart[] = [];
  const sharing = createSharing({
    shared: {
      async write(parts) {
        writes += 1;
        said();
        for (const { events } of parts)
          if (Buffer.byteLength(JSON.stringify(events)) > LONGEST_DOCUMENT) throw new Error('too long');
        written.push(...parts);
      },
      read: async () => undefined,
      follow: async () => undefined,
    },
    instances: { isAlive: async () => true },
    clock,
    pause: async () => undefined,
    lookEveryMs: 250,
    mostBytes: MOST_BYTES,
  });
  const recordings = createRecordings({
    clock,
    keptMs: 300_000,
    mostBytes: MOST_BYTES,
    mostBytesInAll: 4 * MOST_BYTES,
  });
  /** An answer that has come to its end since the last look. */
  const answer = (...words: string[]) => {
    const recording = recordings.open(holdId(), OWNER);
    recording.add(...words.map((data) => ({ event: 'token', data })));
    recording.end(clock.now());
    sharing.add(recording, 300_000);
    return recording.requestId;
  };
  /** One that goes on, a word with every write. */
  const endless = () => {
    const recording = recordings.open(holdId(), OWNER);
    said = () => recording.add({ event: 'token', data: `word ${writes}` });
    said();
    sharing.add(recording, 300_000);
    return recording.requestId;
  };
  const of = (id: string) => written.filter(({ requestId }) => requestId === id);
  return { sharing, answer, endless, of, writes: () => writes };
}

describe('answers that are written where others can read them', () => {
  it('are written in as many parts as documents can hold, the end with the last one', async () => {
    const { sharing, answer, of } = stage();
    const long = answer(...Array.from({ length: 30 }, () => '\u0001'.repeat(100_000)));
    const short = answer('short');
    await sharing.flush();
    const parts = of(long);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.map(({ state }) => state)).toEqual([...parts.slice(1).map(() => 'running'), 'ended']);
    expect(parts.flatMap(({ from, events }) => events.map((_, at) => from + at))).toEqual(
      Array.from({ length: 30 }, (_, at) => at + 1),
    );
    expect(of(short)).toMatchObject([{ state: 'ended', events: [{ data: 'short' }] }]);
  });

  it('are given up alone when one of their events is longer than a document', async () => {
    const { sharing, answer, of } = stage();
    const huge = answer('One', 'x'.repeat(LONGEST_DOCUMENT), 'two');
    const short = answer('short');
    await sharing.flush();
    expect(of(huge).map(({ state, events }) => [state, events.length])).toEqual([
      ['running', 1],
      ['cut', 0],
    ]);
    expect(of(short)).toMatchObject([{ state: 'ended' }]);
  });

  it('are written for all who ask at once in two turns, and for who asks later in the next one', async () => {
    const { sharing, endless, of, writes } = stage();
    const id = endless();
    await Promise.all(Array.from({ length: 100 }, () => sharing.flush()));
    expect(writes()).toBe(2);
    await sharing.flush();
    expect(of(id).flatMap(({ events }) => events.map(({ data }) => data))).toEqual(['word 0', 'word 1', 'word 2']);
  });
});
