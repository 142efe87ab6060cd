import { AppError } from '@tollgate/http-kit';
import type { WhichAnswer } from '../../domain/which-answer.ts';
import type { ChatflowId, HoldId } from '../../domain/wire-types.ts';
import type { Owner } from '../../ports.ts';

/** An answer that this process is giving. */
export interface RunningAnswer {
  readonly requestId: HoldId;
  readonly owner: Owner;
  readonly chatflowId: ChatflowId;
  /** Known from the beginning, or from the first event on. */
  sessionId: string | undefined;
  readonly sessionAlias: string | undefined;
  readonly stop: AbortController;
}

/** The answers of this process, each in the hands of who asked for it. */
export class RunningAnswers {
  readonly #running = new Map<HoldId, RunningAnswer>();
  readonly #stopping: AbortSignal;

  /** When that aborts, all of them end: one listener, because a signal for each of them stays in memory beside them. */
  constructor(stopping: AbortSignal) {
    this.#stopping = stopping;
    const endAll = (): void => {
      for (const answer of this.#running.values()) answer.stop.abort(stopping.reason);
    };
    stopping.addEventListener('abort', endAll, { once: true });
  }

  add(answer: RunningAnswer): void {
    this.#running.set(answer.requestId, answer);
    if (this.#stopping.aborted) answer.stop.abort(this.#stopping.reason);
  }

  remove({ requestId }: RunningAnswer): void {
    this.#running.delete(requestId);
  }

  get size(): number {
    return this.#running.size;
  }

  /** False when the owner has no such answer here. */
  stop(owner: Owner, which: WhichAnswer): boolean {
    const answer = this.#find(which);
    if (!answer || !isOwn(answer.owner, owner)) return false;
    end(answer);
    return true;
  }

  /** For a stop that came in elsewhere, where its owner was checked. */
  stopAll(requestIds: readonly HoldId[]): void {
    for (const requestId of requestIds) end(this.#running.get(requestId));
  }

  #find(which: WhichAnswer): RunningAnswer | undefined {
    if ('requestId' in which) return this.#running.get(which.requestId);
    return [...this.#running.values()].find(
      ({ chatflowId, sessionId, sessionAlias }) =>
        chatflowId === which.chatflowId && [sessionId, sessionAlias].includes(which.sessionId),
    );
  }
}

const isOwn = (one: Owner, other: Owner): boolean =>
  one.userId === other.userId && one.workspaceId === other.workspaceId;

const end = (answer: RunningAnswer | undefined): void => answer?.stop.abort(new AppError('ANSWER_STOPPED'));
