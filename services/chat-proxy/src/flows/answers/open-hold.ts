import type { Origin } from '@tollgate/http-kit';
import type { Access } from '../../domain/access.ts';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { AbsentUsage } from '../../domain/price.ts';
import type { Reply } from '../../domain/reply.ts';
import type { ClosedHold, Hold, HoldId, UserId } from '../../domain/wire-types.ts';
import type { Ending } from '../../ports.ts';

/** An answer that has grown by so much is noted without waiting for its turn. */
export const CHECKPOINT_TOKENS = 256;

export type Shortage = 'INSUFFICIENT_CREDITS' | 'BUDGET_EXCEEDED';

/** A hold whose answer is being produced by this process. */
export interface OpenHold {
  readonly id: HoldId;
  readonly userId: UserId;
  readonly access: Access;
  /** The request that it was taken for. */
  readonly origin: Origin | undefined;
  readonly reply: Reply;
  /** The chatflow at the server that is asked; changes when another one is. */
  place: Chatflow;
  /** As accounting has granted it; changes when the hold is extended. */
  grant: Hold;
  /** Ends the answer: for the loss of the hold, by its owner's wish, with the process, or with its client. */
  readonly stop: AbortController;
  /** Output tokens the upstream is allowed in each of the choices it is asked for. */
  maxOutput: number;
  readonly choices: number;
  /** What is charged when the answer ends without usage that its server should have reported. */
  readonly absentUsage: AbsentUsage;
  /** Whether the upstream keeps to `maxOutput`. */
  readonly isCapped: boolean;
  /** The count of output tokens that needs a larger hold. */
  extendAt: number;
  /** The hold cannot grow any more: the answer may go on to this count of output tokens, and ends there. */
  endsAfter: number;
  /** What it is that cannot pay for more. */
  shortOf: Shortage;
  /** Milliseconds since 1970. */
  readonly openedAt: number;
  checkpointedOutput: number;
  checkpointedAt: number;
  renewedAt: number;
  /** How it ends, once that is decided, and whether the journal knows it. */
  concluded?: { readonly ending: Ending; readonly isWritten: boolean };
  closing?: Promise<ClosedHold | undefined>;
}
