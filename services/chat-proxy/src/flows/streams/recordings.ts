import type { HoldId } from '../../domain/wire-types.ts';
import type { Clock, Owner } from '../../ports.ts';
import { Recording } from './recording.ts';

export interface Recordings {
  open(requestId: HoldId, owner: Owner): Recording;
  /** Somebody else's is not found. */
  find(owner: Owner, requestId: HoldId): Recording | undefined;
  /** Whether an answer of the owner has come to its end here. */
  hasEnded(owner: Owner, requestId: HoldId): boolean;
  forget(recording: Recording): void;
  /** Forgets what has been over for long enough. */
  sweep(): void;
  readonly bytes: number;
}

export interface RecordingsDeps {
  readonly clock: Clock;
  /** Milliseconds that an answer is kept after its end. */
  readonly keptMs: number;
  /** Bytes of one answer; of a longer one the end is kept. */
  readonly mostBytes: number;
  readonly mostBytesInAll: number;
}

const MOST_RECORDINGS = 20_000;
/** So that a full recording is not made room in at every event. */
const KEPT_SHARE = 7 / 8;

/** The answers of this process that can be read again: bounded, the oldest go first. */
export function createRecordings({ clock, keptMs, mostBytes, mostBytesInAll }: RecordingsDeps): Recordings {
  const recordings = new Map<HoldId, Recording>();
  let bytes = 0;

  function forget(recording: Recording): void {
    recordings.delete(recording.requestId);
    recording.shrink(0);
  }

  function makeRoom(): void {
    for (const recording of recordings.values()) {
      if (bytes <= mostBytesInAll && recordings.size < MOST_RECORDINGS) return;
      if (recording.endedAt !== undefined) forget(recording);
    }
  }

  function find(owner: Owner, requestId: HoldId): Recording | undefined {
    const recording = recordings.get(requestId);
    const isOwn = recording?.owner.userId === owner.userId && recording.owner.workspaceId === owner.workspaceId;
    return isOwn ? recording : undefined;
  }

  return {
    find,
    forget,
    hasEnded(owner, requestId) {
      const recording = find(owner, requestId);
      return recording?.endedAt !== undefined && recording.hasBegun;
    },
    open(requestId, owner) {
      makeRoom();
      const recording = new Recording(requestId, owner, (more) => {
        bytes += more;
        // Nothing more, when room is made where there is nothing to forget.
        if (more <= 0) return;
        if (recording.bytes > mostBytes) recording.shrink(mostBytes * KEPT_SHARE);
        if (bytes <= mostBytesInAll) return;
        makeRoom();
        if (bytes > mostBytesInAll) recording.shrink(recording.bytes / 2);
      });
      recordings.set(requestId, recording);
      return recording;
    },
    sweep() {
      const oldest = clock.now() - keptMs;
      for (const recording of recordings.values())
        if (recording.endedAt !== undefined && recording.endedAt <= oldest) forget(recording);
    },
    get bytes() {
      return bytes;
    },
  };
}
