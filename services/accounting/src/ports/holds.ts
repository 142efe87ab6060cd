import type { accounting, Price, Units } from '@tollgate/contracts';
import type { Claims } from '../domain/callers.ts';
import type { HoldRecord } from '../domain/hold-state.ts';
import type { Resource } from '../domain/price-match.ts';

/** Who does something, for the ledger. */
export type Doer = Readonly<{ actor: string; requestId: string; reason?: string | undefined }>;

export type OpenHold = Doer &
  Readonly<{
    holdId: string;
    claims: Claims;
    /** `user`, or the service that holds on the user's behalf. */
    openedBy: string;
    sessionId?: string;
    key: string;
    fingerprint: string;
    resource?: Resource;
    workspaceId?: string | undefined;
    apiKeyId?: string | undefined;
    /** Absent for a plain deduction of `units.request` credits. */
    price?: { ruleId: string } & Price;
    units: Units;
    minOutput?: number | undefined;
    metadata?: Readonly<Record<string, unknown>> | undefined;
    leaseSeconds: number;
  }>;

/** Why somebody may not use the platform at the moment, as a code on the wire. */
export type BlockReason = 'account_disabled' | 'key_revoked' | 'workspace_disabled';

/** The limit that leaves no room. `limit` is in what `measure` counts; `resetsAt` null: its window never ends. */
export type ReachedLimit = Readonly<{
  id: string;
  scope: accounting.LimitScope;
  measure: accounting.LimitMeasure;
  window: accounting.LimitWindow;
  limit: number;
  resetsAt: Date | null;
  resetsInSeconds: number | null;
}>;

export type RefusedHold =
  | Readonly<{ outcome: 'short'; available: number }>
  | Readonly<{ outcome: 'limited'; limit: ReachedLimit }>
  | Readonly<{ outcome: 'blocked'; reason: BlockReason }>;

export type OpenedHold =
  | Readonly<{ outcome: 'opened' | 'replayed' | 'closed'; available: number; hold: HoldRecord }>
  | Readonly<{ outcome: 'mismatch' }>
  | RefusedHold;

export type ExtendHold = Doer &
  Readonly<{
    holdId: string;
    userId: string;
    openedBy: string;
    fence: number;
    price: Price;
    units: Units;
    /** The answer will come from this instead, and is priced by it: `price` is its price. */
    resource?: Resource | undefined;
    /** Take what the balance buys while that is as much output as this and as was granted; absent: all or nothing. */
    minOutput?: number | undefined;
  }>;

export type ExtendedHold =
  | Readonly<{ outcome: 'extended' | 'closed' | 'fenced'; available: number; hold: HoldRecord }>
  | Readonly<{ outcome: 'unknown' }>
  | RefusedHold;

export type Renewal = Readonly<{
  holdId: string;
  openedBy: string;
  fence: number;
  checkpoint?: Units | undefined;
  userId?: string;
}>;
export type RenewedHold = Readonly<{
  holdId: string;
  outcome: 'renewed' | 'closed' | 'fenced' | 'unknown' | 'stopped';
  leaseExpiresAt: Date | null;
  /** Why it was stopped. */
  reason: BlockReason | null;
}>;

export type CloseHold = Doer &
  Readonly<{
    holdId: string;
    userId: string;
    /** Only who opened a hold may close it. Absent: the sweeper, for a hold whose lease it saw end. */
    openedBy?: string;
    /** `bury`: a void of what has not arrived yet, and of nothing else. */
    cause: 'settle' | 'void' | 'bury' | 'sweep';
    charge: number;
    /** What the rounding up added, in micro-credits; absent: nothing was rounded. */
    roundingMicro?: string;
    outcome: accounting.Outcome | null;
    units: Units;
    usageSource?: string;
    rawUsage?: unknown;
    metadata?: Readonly<Record<string, unknown>> | undefined;
    key?: string;
    fingerprint?: string;
    seenLease?: string;
    policy: 'absorb' | 'debt';
    /** What `charge` was reckoned by. */
    priceRuleId?: string | null;
    /** Nothing was asked of the upstream: it does not count as a request. */
    refused?: boolean | undefined;
  }>;

export type ClosedRecord =
  | Readonly<{ outcome: 'done' | 'same' | 'final'; available: number; hold: HoldRecord }>
  | Readonly<{ outcome: 'mismatch' }>
  | Readonly<{ outcome: 'alive' }>
  | Readonly<{ outcome: 'repriced' }>
  | Readonly<{ outcome: 'unknown' }>;

/** The life of holds. Each call is one transaction in itself: its guard and its effect stand or fall together. */
export type Holds = {
  /** Refused as if the database were away when the signal says before it is sent that nobody waits for it. */
  open(request: OpenHold, signal?: AbortSignal): Promise<OpenedHold>;
  extend(request: ExtendHold): Promise<ExtendedHold>;
  renew(renewals: readonly Renewal[], leaseSeconds: number): Promise<RenewedHold[]>;
  /** A void of a hold that is not there leaves a closed one, which the hold's own request will find. */
  close(request: CloseHold): Promise<ClosedRecord>;
  /** A hold and its settlement at once. */
  deduct(request: OpenHold, credits: number): Promise<ClosedRecord | RefusedHold>;
  find(holdId: string, userId: string): Promise<{ hold: HoldRecord; available: number } | undefined>;
  findSession(userId: string, sessionId: string): Promise<HoldRecord | undefined>;
  /** Active holds whose lease is over, and was over at `until`; longest over first. */
  due(limit: number, except: readonly string[], until?: Date): Promise<HoldRecord[]>;
  /**
   * The price rule a hold is pinned to; null for a deduction or what was voided before it came, undefined for an unknown hold.
   * `anew`: another instance may have changed it.
   */
  pinnedRule(holdId: string, userId: string, anew?: boolean): Promise<string | null | undefined>;
};

/** The holds that are open, as the books have them. */
export type OpenHoldFigures = Readonly<{
  /** Within their lease. */
  active: number;
  /** Beyond it: the sweep is to close them. */
  overdue: number;
  oldestSeconds: number;
  /** How long the lease is over that has been over for longest. */
  overdueSeconds: number;
}>;
