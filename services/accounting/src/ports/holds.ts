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
    /** Absent for a plain deduction of `units.request` credits. */
    price?: { ruleId: string } & Price;
    units: Units;
    minOutput?: number | undefined;
    metadata?: Readonly<Record<string, unknown>> | undefined;
    leaseSeconds: number;
  }>;

export type OpenedHold =
  | Readonly<{ outcome: 'opened' | 'replayed' | 'closed'; available: number; hold: HoldRecord }>
  | Readonly<{ outcome: 'mismatch' }>
  | Readonly<{ outcome: 'short'; available: number }>;

export type ExtendHold = Doer &
  Readonly<{
    holdId: string;
    userId: string;
    openedBy: string;
    fence: number;
    price: Price;
    units: Units;
    /** Take what the balance buys while that is as much output as this and as was granted; absent: all or nothing. */
    minOutput?: number | undefined;
  }>;

export type ExtendedHold =
  | Readonly<{ outcome: 'extended' | 'closed' | 'fenced' | 'short'; available: number; hold: HoldRecord }>
  | Readonly<{ outcome: 'unknown' }>;

export type Renewal = Readonly<{
  holdId: string;
  openedBy: string;
  fence: number;
  checkpoint?: Units | undefined;
  userId?: string;
}>;
export type RenewedHold = Readonly<{
  holdId: string;
  outcome: 'renewed' | 'closed' | 'fenced' | 'unknown';
  leaseExpiresAt: Date | null;
}>;

export type CloseHold = Doer &
  Readonly<{
    holdId: string;
    userId: string;
    /** Only who opened a hold may close it. Absent: the sweeper, for a hold whose lease it saw end. */
    openedBy?: string;
    cause: 'settle' | 'void' | 'sweep';
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
  }>;

export type ClosedRecord =
  | Readonly<{ outcome: 'done' | 'same' | 'final'; available: number; hold: HoldRecord }>
  | Readonly<{ outcome: 'mismatch' }>
  | Readonly<{ outcome: 'alive' }>
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
  deduct(request: OpenHold, credits: number): Promise<ClosedRecord | Readonly<{ outcome: 'short'; available: number }>>;
  find(holdId: string, userId: string): Promise<{ hold: HoldRecord; available: number } | undefined>;
  findSession(userId: string, sessionId: string): Promise<HoldRecord | undefined>;
  /** Active holds whose lease is over, longest over first. */
  due(limit: number, except: readonly string[]): Promise<HoldRecord[]>;
  /** The price rule a hold is pinned to; null for a deduction or what was voided before it came, undefined for an unknown hold. */
  pinnedRule(holdId: string, userId: string): Promise<string | null | undefined>;
};
