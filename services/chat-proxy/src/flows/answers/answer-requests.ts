import { AppError, toAppError } from '@tollgate/http-kit';
import type { AnswerEvent } from '../../domain/answer.ts';
import { stoppedEvents } from '../../domain/answer-events.ts';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { WhichAnswer } from '../../domain/which-answer.ts';
import type { HoldId } from '../../domain/wire-types.ts';
import type { AnswerStops, Asker, Owner } from '../../ports.ts';
import { chat, type ChatDeps } from '../chat.ts';
import type { AnswerLimits, Seat } from '../limits/limit-answers.ts';
import type { Claim, ClaimKeys } from '../streams/claim-keys.ts';
import type { Patience } from '../streams/keep-running.ts';
import type { Recording } from '../streams/recording.ts';
import type { Recordings } from '../streams/recordings.ts';
import type { Sharing } from '../streams/share-recordings.ts';
import type { Answers } from './answer-with-fallback.ts';
import type { OpenHold } from './open-hold.ts';
import type { Ask } from './prepare-ask.ts';
import { type RunningAnswer, RunningAnswers } from './running-answers.ts';

type Answer = AsyncGenerator<AnswerEvent, void, undefined>;

export interface AnswerRequests {
  /** What every door calls: `chat`, under a request id by which its owner can stop the answer and read it again. */
  chat(caller: Asker, ask: Ask, signal: AbortSignal): Answer;
  /** False when the owner has no such answer under way; somebody else's looks like one that does not exist. */
  stop(owner: Owner, which: WhichAnswer): Promise<boolean>;
  /** The events of an own answer after that number, and on while it is given. Charges nothing. */
  resume(owner: Owner, requestId: HoldId, after: number, signal: AbortSignal): Promise<Answer>;
  /** One turn of the background task: hears of stops and readers that came in elsewhere. */
  listen(): Promise<void>;
  readonly running: number;
}

export interface AnswerRequestsDeps {
  readonly chat: ChatDeps;
  readonly limits: AnswerLimits;
  readonly claims: ClaimKeys;
  readonly recordings: Recordings;
  readonly sharing: Sharing;
  readonly patience: Patience;
  readonly stops: AnswerStops;
  /** The answers of this process that are read by way of another one. */
  readonly followed: () => Promise<readonly HoldId[]>;
  readonly defaultWorkspaceId: string;
  /** Seconds an answer goes on without its client at most. */
  readonly longestGraceSeconds: number;
  /** Milliseconds a recording stays in the database: one that a key stands for as long as the key. */
  readonly keptMs: number;
  readonly keyKeptMs: number;
}

interface Reading {
  readonly graceSeconds: number;
  readonly signal: AbortSignal;
}

/** One request on its way through this process. */
interface Request {
  readonly caller: Asker;
  readonly ask: Ask;
  readonly own: RunningAnswer;
  readonly claim: Claim | undefined;
  readonly chatflow: Chatflow | undefined;
  /** Absent when nobody can read the answer again. */
  recording: Recording | undefined;
  hold: OpenHold | undefined;
}

export function createAnswerRequests(deps: AnswerRequestsDeps): AnswerRequests {
  const running = new RunningAnswers();
  const ownerOf = ({ userId, workspaceId = deps.defaultWorkspaceId }: Owner): Owner => ({ userId, workspaceId });

  async function* answer(caller: Asker, ask: Ask, signal: AbortSignal): Answer {
    const owner = ownerOf(caller);
    const { chatflowId, sessionId } = ask;
    // Before the key is taken: what fails from then on has to give it back.
    const chatflow = await deps.chat.chatflows.findFor(caller, chatflowId);
    const claim = ask.idempotencyKey === undefined ? undefined : await deps.claims.claim(owner, ask);
    if (claim && !claim.isFirst) {
      const given = await find(owner, claim.requestId, 0, signal);
      if (!given) throw new AppError('ANSWER_NOT_KEPT');
      yield* replayed(given);
      return;
    }
    const requestId = claim?.requestId ?? deps.chat.newRequestId();
    const own = { requestId, owner, chatflowId, sessionId: sessionId?.toLowerCase(), stop: new AbortController() };
    const request: Request = { caller, ask, own, claim, chatflow, recording: undefined, hold: undefined };
    const graceSeconds = graceOf(request, deps.longestGraceSeconds);
    // Clients of OpenAI's API know no way to read an answer again.
    if (claim || graceSeconds > 0 || !ask.completion) request.recording = deps.recordings.open(requestId, owner);
    if (request.recording && (claim || graceSeconds > 0) && chatflow?.storage.keeps === 'all')
      deps.sharing.add(request.recording, claim ? deps.keyKeptMs : deps.keptMs);
    yield* request.recording && graceSeconds > 0
      ? withoutClient(request, request.recording, { graceSeconds, signal })
      : withClient(request, signal);
  }

  /** The plain case: the answer goes as its client reads, and ends with it. */
  async function* withClient(request: Request, signal: AbortSignal): Answer {
    const { recording } = request;
    try {
      for await (const event of begin(request, signal)) {
        recording?.add(event);
        yield event;
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
  async function* withoutClient(request: Request, recording: Recording, { graceSeconds, signal }: Reading): Answer {
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
      for await (const event of begin(request, left)) {
        recording.add(event);
        await recording.room();
        if (event.event !== 'end') continue;
        recording.end(deps.chat.clock.now());
        // Before the answer is charged: whoever repeats the request after our death gets what was paid for.
        if (request.claim) await deps.sharing.flush().catch(() => undefined);
      }
      await end(request);
    } catch (error) {
      await end(request, left.aborted ? 'left' : toAppError(error));
    }
  }

  async function* begin(request: Request, signal: AbortSignal): Answer {
    const { caller, ask, own, chatflow } = request;
    running.add(own);
    let seat: Seat | undefined;
    try {
      // Of a chatflow that the caller may not use, `chat` says so itself.
      if (chatflow) seat = await deps.limits.enter(caller, chatflow, own.requestId);
      for await (const event of chat(chatDepsOf(request, seat), caller, ask, signal)) {
        if (event.event === 'session_id') own.sessionId = String(event.data);
        yield event;
      }
    } finally {
      seat?.leave();
      running.remove(own);
    }
  }

  const chatDepsOf = (request: Request, seat: Seat | undefined): ChatDeps => ({
    ...deps.chat,
    newRequestId: () => request.own.requestId,
    stopping: AbortSignal.any([deps.chat.stopping, request.own.stop.signal]),
    answers: seat?.granted ? onceGranted(deps.chat.answers, seat.granted) : deps.chat.answers,
    finished: (finished) => {
      request.hold = finished.hold;
      deps.chat.finished(finished);
    },
  });

  /** Once: whoever reads the answer again sees how it ended, and the key that it came with stands for it. */
  async function end({ recording, claim, hold }: Request, how?: AppError | 'left'): Promise<void> {
    if (!recording || (recording.endedAt !== undefined && how === 'left')) return;
    if (how === 'left' && hold && recording.hasBegun) {
      const bill = await deps.chat.holds.bill(hold).catch(() => undefined);
      const closing = stoppedEvents(hold.grant, bill);
      for (const event of recording.lastEvent === 'usage' ? closing.slice(-1) : closing) recording.add(event);
    }
    recording.end(deps.chat.clock.now(), how === 'left' ? undefined : how);
    // A refusal is nobody's to be read again.
    if (!recording.hasBegun) deps.recordings.forget(recording);
    if (!claim) return;
    await deps.sharing.flush().catch(() => undefined);
    await deps.claims.conclude(claim, recording.hasBegun);
  }

  /** The process that gives the answer knows all of it; what was written is for the others. */
  async function find(
    owner: Owner,
    requestId: HoldId,
    after: number,
    signal: AbortSignal,
  ): Promise<Answer | undefined> {
    const here = deps.recordings.find(owner, requestId);
    return here?.has(after) ? here.read(after, signal) : deps.sharing.read(owner, requestId, after, signal);
  }

  return {
    chat: answer,
    async resume(asker, requestId, after, signal) {
      const found = await find(ownerOf(asker), requestId, after, signal);
      if (!found) throw new AppError('NOT_FOUND');
      return found;
    },
    stop: async (asker, which) => {
      const owner = ownerOf(asker);
      return running.stop(owner, which) || deps.stops.request(owner, which, new Date(deps.chat.clock.now()));
    },
    async listen() {
      if (running.size > 0) running.stopAll(await deps.stops.wanted());
      if (deps.patience.waiting === 0) return;
      const followed = new Set(await deps.followed());
      deps.patience.followed(({ requestId }) => followed.has(requestId));
    },
    get running() {
      return running.size;
    },
  };
}

const MS_PER_SECOND = 1000;

/** A key says that the request may be repeated: unless the client says otherwise, the answer waits for that. */
function graceOf({ ask: { keepRunningSeconds }, claim }: Request, longest: number): number {
  return Math.min(keepRunningSeconds ?? (claim ? longest : 0), longest);
}

/** The place is asked for while the hold is: known before the upstream is called, so that nobody pays for a refusal. */
const onceGranted = (answers: Answers, granted: Promise<void>): Answers => ({
  ...answers,
  async *from(places, order) {
    await granted;
    yield* answers.from(places, order);
  },
});

/** Says at its beginning, and where the price stands, that nothing is charged again. */
async function* replayed(answer: Answer): Answer {
  for await (const event of answer) {
    if (event.event === 'session_id') yield { ...event, replayed: true };
    else if (event.event === 'usage') yield { ...event, data: { ...Object(event.data), replayed: true } };
    else yield event;
  }
}
