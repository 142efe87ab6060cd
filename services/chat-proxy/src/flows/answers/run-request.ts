import { type AppError, ChosenParts, toAppError } from '@tollgate/http-kit';
import type { Answer, AnswerEvent } from '../../domain/answer.ts';
import { stoppedEvents } from '../../domain/answer-events.ts';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { Asker } from '../../ports.ts';
import { chat, type ChatDeps, type SharedChatDeps } from '../chat.ts';
import type { AnswerLimits, Seat } from '../limits/limit-answers.ts';
import type { Claim, ClaimKeys } from '../streams/claim-keys.ts';
import type { Patience } from '../streams/keep-running.ts';
import type { Recording } from '../streams/recording.ts';
import type { Recordings } from '../streams/recordings.ts';
import type { Sharing } from '../streams/share-recordings.ts';
import type { Answers } from './answer-with-fallback.ts';
import type { Holds } from './hold-credits.ts';
import type { OpenHold } from './open-hold.ts';
import type { Ask } from './prepare-ask.ts';
import type { RunningAnswer, RunningAnswers } from './running-answers.ts';

/** One request on its way through this process. */
export interface Request {
  readonly caller: Asker;
  readonly ask: Ask;
  readonly own: RunningAnswer;
  readonly claim: Claim | undefined;
  readonly chatflow: Chatflow | undefined;
  /** Absent when nobody can read the answer again. */
  readonly recording: Recording | undefined;
  seat?: Seat;
  /** Once the answer is over. */
  hold?: OpenHold;
}

export interface Run {
  readonly signal: AbortSignal;
  /** 0: the answer ends with its client. */
  readonly graceSeconds: number;
}

export interface RunRequestDeps {
  readonly chat: SharedChatDeps;
  readonly limits: Pick<AnswerLimits, 'enter'>;
  readonly claims: Pick<ClaimKeys, 'conclude'>;
  readonly recordings: Pick<Recordings, 'forget'>;
  readonly sharing: Pick<Sharing, 'flush'>;
  readonly patience: Pick<Patience, 'watch'>;
  readonly running: RunningAnswers;
}

const MS_PER_SECOND = 1000;

/** Gives the answer to one request, with its client or for a while without it. */
export function createRunRequest(deps: RunRequestDeps) {
  const { chat: own } = deps;
  const end = createEnd(deps);

  /** The plain case: the answer goes as its client reads, and ends with it. */
  async function* withClient(request: Request, signal: AbortSignal): Answer {
    try {
      try {
        for await (const events of await begin(deps, request, signal)) {
          note(request, events);
          yield events;
        }
      } finally {
        leave(deps, request);
      }
      await end(request);
    } catch (error) {
      await end(request, signal.aborted ? 'left' : toAppError(error));
      throw error;
    } finally {
      await end(request, 'left');
    }
  }

  /** The client has said that it would come back: the answer goes on by itself, and clients read its recording. */
  async function* withoutClient(request: Request, recording: Recording, { signal, graceSeconds }: Run): Answer {
    const left = new AbortController();
    const reading = recording.read(0, signal);
    const unwatch = deps.patience.watch(recording, graceSeconds * MS_PER_SECOND, () => left.abort());
    const pumped = pump(request, recording, left.signal).finally(unwatch);
    try {
      yield* reading;
    } finally {
      // Whoever has seen the end may repeat the request at once: by then its key says that it is done.
      if (recording.endedAt !== undefined) await pumped;
    }
  }

  async function pump(request: Request, recording: Recording, left: AbortSignal): Promise<void> {
    try {
      await record(request, recording, left);
      await end(request);
    } catch (error) {
      await end(request, left.aborted ? 'left' : toAppError(error));
    }
  }

  async function record(request: Request, recording: Recording, left: AbortSignal): Promise<void> {
    try {
      for await (const events of await begin(deps, request, left)) {
        note(request, events);
        await recording.room();
        if (recording.lastEvent !== 'end') continue;
        recording.end(own.clock.now());
        // Before the answer is charged: whoever repeats the request after our death gets what was paid for.
        if (request.claim) await deps.sharing.flush().catch(() => undefined);
      }
    } finally {
      leave(deps, request);
    }
  }

  return (request: Request, run: Run): Answer =>
    request.recording && run.graceSeconds > 0
      ? withoutClient(request, request.recording, run)
      : withClient(request, run.signal);
}

/** To be followed by `leave`, whatever comes of it. */
async function begin(deps: RunRequestDeps, request: Request, signal: AbortSignal): Promise<Answer> {
  const { caller, ask, own, chatflow } = request;
  deps.running.add(own);
  // Of a chatflow that the caller may not use, `chat` says so itself.
  if (chatflow) request.seat = await deps.limits.enter(caller, chatflow, own.requestId);
  return chat(chatDepsOf(deps, request, request.seat), caller, ask, signal);
}

function note({ own, recording }: Request, events: readonly AnswerEvent[]): void {
  const [first] = events;
  if (first?.event === 'session_id') own.sessionId = String(first.data);
  recording?.add(...events);
}

function leave({ running }: RunRequestDeps, { own, seat }: Request): void {
  seat?.leave();
  running.remove(own);
}

const chatDepsOf = ({ chat: deps, sharing }: RunRequestDeps, request: Request, seat: Seat | undefined): ChatDeps => ({
  ...deps,
  holds: request.claim ? keptFirst(deps.holds, sharing) : deps.holds,
  newRequestId: () => request.own.requestId,
  stop: request.own.stop,
  answers: seat?.granted ? onceGranted(deps.answers, seat.granted) : deps.answers,
  finished: (finished) => {
    request.hold = finished.hold;
    deps.finished(finished);
  },
});

/** Whoever repeats the request after our death gets what was paid for: it is written down before the price is. */
const keptFirst = (holds: Holds, sharing: Pick<Sharing, 'flush'>): Holds => ({
  open: (caller, order) => holds.open(caller, order),
  growth: (hold) => holds.growth(hold),
  requote: (hold, place) => holds.requote(hold, place),
  bill: (hold) => holds.bill(hold),
  close: (hold) => holds.close(hold),
  async conclude(hold) {
    await sharing.flush().catch(() => undefined);
    return holds.conclude(hold);
  },
});

/** The place is asked for while the hold is: known before the upstream is called, so that nobody pays for a refusal. */
const onceGranted = (answers: Answers, granted: Promise<void>): Answers => ({
  ...answers,
  from: (places, order) =>
    new ChosenParts(async () => {
      await granted;
      return { source: answers.from(places, order) };
    }),
});

/** Once: whoever reads the answer again sees how it ended, and the key that it came with stands for it. */
const createEnd = ({ chat: { holds, clock }, recordings, sharing, claims }: RunRequestDeps) =>
  async function end({ recording, claim, hold }: Request, how?: AppError | 'left'): Promise<void> {
    if (!recording || (recording.endedAt !== undefined && how === 'left')) return;
    // Its client may have gone with the end in its hands, and an answer ends once.
    if (how === 'left' && hold && recording.hasBegun && recording.lastEvent !== 'end') {
      const bill = await holds.bill(hold).catch(() => undefined);
      recording.add(...stoppedEvents(hold.grant, bill));
    }
    recording.end(clock.now(), how === 'left' ? undefined : how);
    // A refusal is nobody's to be read again.
    if (!recording.hasBegun) recordings.forget(recording);
    if (!claim) return;
    await sharing.flush().catch(() => undefined);
    await claims.conclude(claim, recording.hasBegun);
  };
