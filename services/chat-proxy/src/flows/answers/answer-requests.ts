import { AppError, ChosenParts } from '@tollgate/http-kit';
import type { Answer, AnswerEvent } from '../../domain/answer.ts';
import type { WhichAnswer } from '../../domain/which-answer.ts';
import type { HoldId } from '../../domain/wire-types.ts';
import type { AnswerStops, Asker, Owner } from '../../ports.ts';
import type { SharedChatDeps } from '../chat.ts';
import type { AnswerLimits } from '../limits/limit-answers.ts';
import type { Claim, ClaimKeys } from '../streams/claim-keys.ts';
import type { Patience } from '../streams/keep-running.ts';
import type { Recording } from '../streams/recording.ts';
import type { Recordings } from '../streams/recordings.ts';
import type { Sharing } from '../streams/share-recordings.ts';
import type { Ask } from './prepare-ask.ts';
import { createRunRequest } from './run-request.ts';
import { RunningAnswers } from './running-answers.ts';

export interface AnswerRequests {
  /** What every door calls: `chat`, under a request id by which its owner can stop the answer and read it again. */
  chat(caller: Asker, ask: Ask, signal: AbortSignal): Answer;
  /** False when the owner has no such answer under way; somebody else's looks like one that does not exist. */
  stop(owner: Owner, which: WhichAnswer): Promise<boolean>;
  /** The events of an own answer after that number, and on while it is given. Charges nothing. */
  resume(owner: Owner, requestId: HoldId, after: number, signal: AbortSignal): Promise<Answer>;
  /** One turn of the background task: hears of stops and readers that came in elsewhere. */
  listen(): Promise<void>;
}

export interface AnswerRequestsDeps {
  readonly chat: SharedChatDeps;
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

export function createAnswerRequests(deps: AnswerRequestsDeps): AnswerRequests {
  const running = new RunningAnswers(deps.chat.stopping);
  const run = createRunRequest({ ...deps, running });
  const ownerOf = ({ userId, workspaceId = deps.defaultWorkspaceId }: Owner): Owner => ({ userId, workspaceId });

  const answer = (caller: Asker, ask: Ask, signal: AbortSignal): Answer =>
    new ChosenParts(() => begun(caller, ask, signal));

  async function begun(caller: Asker, ask: Ask, signal: AbortSignal): Promise<{ source: Answer }> {
    const owner = ownerOf(caller);
    const { chatflowId, sessionAlias } = ask;
    // Before the key is taken: what fails from then on has to give it back.
    const chatflow = await deps.chat.chatflows.findFor(caller, chatflowId);
    const claim = ask.idempotencyKey === undefined ? undefined : await deps.claims.claim(owner, ask);
    if (claim && !claim.isFirst) {
      const given = await find(owner, claim.requestId, 0, signal);
      if (!given) throw new AppError('ANSWER_NOT_KEPT');
      return { source: replayed(given) };
    }
    const requestId = claim?.requestId ?? deps.chat.newRequestId();
    const sessionId = ask.sessionId?.toLowerCase();
    const own = { requestId, owner, chatflowId, sessionId, sessionAlias, stop: new AbortController() };
    const graceSeconds = graceOf(ask, claim, deps.longestGraceSeconds);
    const mayBeWritten = chatflow?.storage.keeps === 'all';
    const recording = recordingFor({ requestId, owner, ask, claim, graceSeconds, mayBeWritten });
    const source = run({ caller, ask, own, claim, chatflow, recording }, { signal, graceSeconds });
    return { source };
  }

  /** Clients of OpenAI's API know no way to read an answer again. */
  function recordingFor({ requestId, owner, ask, claim, graceSeconds, mayBeWritten }: Recorded): Recording | undefined {
    const isExpected = claim !== undefined || graceSeconds > 0;
    if (!isExpected && ask.completion) return undefined;
    const recording = deps.recordings.open(requestId, owner);
    if (isExpected && mayBeWritten) deps.sharing.add(recording, claim ? deps.keyKeptMs : deps.keptMs);
    return recording;
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
    async stop(asker, which) {
      const owner = ownerOf(asker);
      return running.stop(owner, which) || deps.stops.request(owner, which, new Date(deps.chat.clock.now()));
    },
    async listen() {
      if (running.size > 0) running.stopAll(await deps.stops.wanted());
      if (deps.patience.waiting === 0) return;
      const followed = new Set(await deps.followed());
      deps.patience.followed(({ requestId }) => followed.has(requestId));
    },
  };
}

interface Recorded {
  readonly requestId: HoldId;
  readonly owner: Owner;
  readonly ask: Ask;
  readonly claim: Claim | undefined;
  readonly graceSeconds: number;
  /** Whether the chatflow and the workspace let answers be kept in the database. */
  readonly mayBeWritten: boolean;
}

/** A key says that the request may be repeated: unless the client says otherwise, the answer waits for that. */
const graceOf = ({ keepRunningSeconds }: Ask, claim: Claim | undefined, longest: number): number =>
  Math.min(keepRunningSeconds ?? (claim ? longest : 0), longest);

/** Says at its beginning, and where the price stands, that nothing is charged again. */
async function* replayed(answer: Answer): Answer {
  for await (const events of answer) yield events.map(asReplayed);
}

function asReplayed(event: AnswerEvent): AnswerEvent {
  if (event.event === 'session_id') return { ...event, replayed: true };
  return event.event === 'usage' ? { ...event, data: { ...Object(event.data), replayed: true } } : event;
}
