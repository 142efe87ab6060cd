import { AppError } from '@tollgate/http-kit';
import type { Answer, AnswerEvent } from '../../domain/answer.ts';
import type { HoldId } from '../../domain/wire-types.ts';
import type { Clock, Instances, Owner, RecordedFailure, RecordedPart, SharedRecordings } from '../../ports.ts';
import { inTurn } from '../in-turn.ts';
import { bytesOf as bytesOfEvent } from './kept-events.ts';
import type { Recording } from './recording.ts';

export interface Sharing {
  /** From now on the recording is written where other processes can read it. */
  add(recording: Recording, keptMs: number): void;
  /** Writes what is new in all of them by now; one turn at a time, shared by all who wait for it. */
  flush(): Promise<void>;
  /** Reads an answer of any process, and goes on while it is given. Undefined when the owner has none of that id. */
  read(owner: Owner, requestId: HoldId, after: number, signal: AbortSignal): Promise<Answer | undefined>;
}

export interface SharingDeps {
  readonly shared: Pick<SharedRecordings, 'write' | 'read' | 'follow'>;
  readonly instances: Pick<Instances, 'isAlive'>;
  readonly clock: Clock;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<unknown>;
  /** Milliseconds between two looks at an answer that another process gives. */
  readonly lookEveryMs: number;
  /** Bytes of one answer. */
  readonly mostBytes: number;
}

/** An answer that could not be written for so long is given up. */
const LONGEST_WAIT_MS = 600_000;
/** So much of an answer goes into one document, which holds 16 MiB, also when each character is written as six. */
const LONGEST_PART = 2 * 1024 * 1024;
/** A follower elsewhere is believed to be there for so many of its looks. */
const LOOKS_REMEMBERED = 5;
const LOOKS_BETWEEN_HEARTBEATS = 10;

interface Shared {
  readonly recording: Recording;
  readonly keptMs: number;
  /** The number of the last event that is written. */
  written: number;
  bytes: number;
}

export function createSharing(deps: SharingDeps): Sharing {
  const { clock } = deps;
  const active = new Map<HoldId, Shared>();

  async function writeAll(): Promise<void> {
    for (const { recording } of active.values())
      if (recording.endedAt !== undefined && !recording.hasBegun) active.delete(recording.requestId);
    while (await hasLeftSome());
  }

  /** Of each recording one part; true when there is more than that to be written. */
  async function hasLeftSome(): Promise<boolean> {
    const now = clock.now();
    const parts = [...active.values()].flatMap((each) => partOf(each, now, deps.mostBytes) ?? []);
    if (parts.length === 0) return false;
    try {
      await deps.shared.write(parts.map(({ part }) => part));
    } catch (error) {
      for (const { of } of parts) if (isGivenUp(of, now)) active.delete(of.recording.requestId);
      throw error;
    }
    for (const { of, part } of parts) {
      of.written = part.from + part.events.length - 1;
      of.bytes += bytesOf(part.events);
      if (part.state !== 'running') active.delete(of.recording.requestId);
    }
    return parts.some(({ hasMore }) => hasMore);
  }

  async function* follow({ owner, requestId, after, signal }: Following, first: Page): Answer {
    let page = first;
    let next = after;
    for (let looks = 1; ; looks += 1) {
      for (const event of page.events) {
        if (signal.aborted) return;
        next += 1;
        yield [event];
      }
      if (page.state !== 'running') return endLike(page);
      // Nobody writes on for a process that has died.
      const isLost =
        looks % LOOKS_BETWEEN_HEARTBEATS === 1 && !(await deps.instances.isAlive(page.instance, new Date(clock.now())));
      await deps.shared.follow(requestId, new Date(clock.now() + LOOKS_REMEMBERED * deps.lookEveryMs));
      await deps.pause(deps.lookEveryMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      const later = await deps.shared.read(owner, requestId, next, new Date(clock.now()));
      if (!later) throw new AppError('ANSWER_NOT_KEPT');
      if (isLost && later.events.length === 0 && later.state === 'running') throw new AppError('SERVER_SHUTDOWN');
      page = later;
    }
  }

  return {
    add: (recording, keptMs) => void active.set(recording.requestId, { recording, keptMs, written: 0, bytes: 0 }),
    flush: inTurn(writeAll),
    async read(owner, requestId, after, signal) {
      const page = await deps.shared.read(owner, requestId, after, new Date(clock.now()));
      return page && follow({ owner, requestId, after, signal }, page);
    },
  };
}

type Page = NonNullable<Awaited<ReturnType<SharedRecordings['read']>>>;

interface Following {
  readonly owner: Owner;
  readonly requestId: HoldId;
  readonly after: number;
  readonly signal: AbortSignal;
}

function endLike({ state, failure }: Page): void {
  if (state === 'cut') throw new AppError('ANSWER_NOT_KEPT');
  if (failure) throw new AppError(failure.code, failure.detail);
}

interface Writing {
  readonly of: Shared;
  readonly part: RecordedPart;
  readonly hasMore: boolean;
}

/** What is to be written of a recording; undefined when nothing is new. */
function partOf(shared: Shared, now: number, mostBytes: number): Writing | undefined {
  const { recording, written, keptMs } = shared;
  const isEnded = recording.endedAt !== undefined;
  const { events, hasMore, isCut } = piecesOf(shared, mostBytes);
  if (events.length === 0 && !isCut && !isEnded) return undefined;
  const part = {
    requestId: recording.requestId,
    owner: recording.owner,
    from: written + 1,
    events,
    state: isCut ? 'cut' : isEnded && !hasMore ? 'ended' : 'running',
    failure: failureOf(recording.failure),
    expiresAt: new Date(now + keptMs),
  } as const;
  return { of: shared, part, hasMore };
}

interface Pieces {
  readonly events: readonly AnswerEvent[];
  readonly hasMore: boolean;
  readonly isCut: boolean;
}

const CUT: Pieces = { events: [], hasMore: false, isCut: true };

/** What has come since the last time, as far as it goes into one part. */
function piecesOf({ recording, written, bytes }: Shared, mostBytes: number): Pieces {
  const found = recording.after(written);
  if (!found) return CUT;
  const events = found.slice(0, fitting(found));
  const hasMore = events.length < found.length;
  if ((hasMore && events.length === 0) || bytes + bytesOf(events) > mostBytes) return CUT;
  return { events, hasMore, isCut: false };
}

/** How many of them go into one part. */
function fitting(events: readonly AnswerEvent[]): number {
  let bytes = 0;
  const beyond = events.findIndex((event) => (bytes += bytesOfEvent(event)) > LONGEST_PART);
  return beyond === -1 ? events.length : beyond;
}

const isGivenUp = ({ recording }: Shared, now: number): boolean =>
  recording.endedAt !== undefined && now - recording.endedAt > LONGEST_WAIT_MS;

const failureOf = (failure: AppError | undefined): RecordedFailure | undefined =>
  failure && { code: failure.code, detail: failure.status < 500 ? failure.detail : undefined };

const bytesOf = (events: readonly AnswerEvent[]): number =>
  events.reduce((sum, { data }) => sum + (typeof data === 'string' ? data.length : JSON.stringify(data).length), 0);
