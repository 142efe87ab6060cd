import type {
  ClosedHold,
  Credits,
  Hold,
  HoldId,
  Outcome,
  Resource,
  StopReason,
  Units,
  UsageSource,
  UserId,
} from '../domain/wire-types.ts';
import type { Asker } from './asker.ts';

export interface HoldRequest {
  readonly holdId: HoldId;
  readonly resource: Resource;
  readonly units: Units;
  readonly minOutput?: number;
}

/** How a hold ends. `void`: nothing billable happened. */
export type Ending =
  | { readonly kind: 'void'; readonly reason: string }
  | {
      readonly kind: 'settle';
      readonly outcome: Outcome;
      readonly units: Units;
      readonly usageSource: UsageSource;
      readonly rawUsage?: unknown;
    };

export interface Renewal {
  readonly holdId: HoldId;
  readonly fence: number;
  readonly checkpoint?: Units;
}

/** `stopped`: the hold is still ours to settle, but its user, workspace or key may not spend any more. */
export interface LostHold {
  readonly holdId: HoldId;
  readonly outcome: 'closed' | 'fenced' | 'unknown' | 'stopped';
  readonly reason?: StopReason | undefined;
}

export interface Accounting {
  hold(asker: Asker, request: HoldRequest): Promise<Hold>;
  /** Whether a `hold` that failed with this error may have reserved something all the same. */
  mayHaveHeld(error: unknown): boolean;
  /**
   * With `minOutput` a balance that does not pay for all of the units raises the hold to what it buys; with `resource` the hold
   * is priced by that from now on.
   */
  extend(userId: UserId, hold: Hold, more: { units: Units; minOutput?: number; resource?: Resource }): Promise<Hold>;
  /** The hold as it is now. NOT_FOUND when accounting has never heard of it. */
  read(holdId: HoldId, userId: UserId): Promise<Hold | ClosedHold>;
  /** The holds whose answers must not go on. */
  renew(renewals: readonly Renewal[]): Promise<LostHold[]>;
  /**
   * Idempotent. NOT_FOUND when there is nobody to charge; ACCOUNTING_UNAVAILABLE when it may go through later; anything else
   * is a refusal of this very ending.
   */
  end(holdId: HoldId, userId: UserId, ending: Ending): Promise<ClosedHold>;
  /**
   * Closes in advance a hold that accounting had never heard of, so that it is refused when it arrives. HOLD_ACTIVE when it has
   * arrived meanwhile.
   */
  bury(holdId: HoldId, userId: UserId): Promise<ClosedHold>;
  balance(asker: Asker): Promise<Credits>;
}
