import type { Recording } from './recording.ts';

/** Answers whose client has gone and that go on for a while, because the client said that it would come back. */
export interface Patience {
  /** Calls `leave` when nobody has read the recording for so long. Returns what ends the watch. */
  watch(recording: Recording, graceMs: number, leave: () => void): () => void;
  /** Says that these are read by way of another process. */
  followed(isFollowed: (recording: Recording) => boolean): void;
  /** Answers that nobody reads. */
  readonly waiting: number;
}

export interface PatienceDeps {
  /** Answers without a reader at once; a further one ends at once. */
  readonly atOnce: number;
  /** Runs the work later, unless what it returns is called before. */
  readonly after: (ms: number, work: () => void) => () => void;
}

export function createPatience({ atOnce, after }: PatienceDeps): Patience {
  const alone = new Map<Recording, { cancel: () => void; again: () => void }>();

  function comeBack(recording: Recording): void {
    alone.get(recording)?.cancel();
    alone.delete(recording);
  }

  return {
    watch(recording, graceMs, leave) {
      const wait = (): void => {
        comeBack(recording);
        if (alone.size >= atOnce) return leave();
        const giveUp = (): void => {
          alone.delete(recording);
          leave();
        };
        alone.set(recording, { cancel: after(graceMs, giveUp), again: wait });
      };
      recording.watch((readers) => (readers === 0 ? wait() : comeBack(recording)));
      return () => {
        recording.watch(() => undefined);
        comeBack(recording);
      };
    },
    followed(isFollowed) {
      const known = [...alone].filter(([recording]) => isFollowed(recording));
      for (const [, { again }] of known) again();
    },
    get waiting() {
      return alone.size;
    },
  };
}
