import type { accounting, auth, Price, Role, ServerResult, UserId } from '@tollgate/contracts';
import type { Claims } from './domain/callers.ts';
import type { HoldRecord } from './domain/hold-state.ts';
import type { Resource } from './domain/price-match.ts';
import type { Doer, Holds } from './ports/holds.ts';
import type { Blocks, KeyLimitStore, Limits, Workspaces } from './ports/limits.ts';
import type { Page } from './ports/page.ts';
import type { HeadKeys } from './domain/ledger-head.ts';
import type { Announce, KeepHead, LedgerAudit, LedgerHeads } from './ports/audit.ts';
import type { LotFilter, PaymentPorts, PaymentTx } from './ports/payments.ts';
import type { Period, UsageReports } from './ports/usage.ts';

export type * from './ports/audit.ts';
import type { Scope } from './domain/scope.ts';
import type { Explanations } from './ports/explanations.ts';
import type { IsWithin, Members } from './ports/members.ts';
import type { Rules } from './ports/rules.ts';

import type { Events } from './ports/events.ts';
import type { OpenHoldFigures } from './ports/holds.ts';

export type * from './ports/events.ts';
export type * from './ports/explanations.ts';
export type * from './ports/holds.ts';
export type * from './ports/limits.ts';
export type * from './ports/members.ts';
export type * from './ports/page.ts';
import type { Channel, DeliveryPace, Outbox, Tenants } from './ports/outbox.ts';

export type * from './ports/outbox.ts';
export type * from './ports/payments.ts';
export type * from './ports/rules.ts';
export type * from './ports/usage.ts';

export type Account = Readonly<{
  id: string;
  username: string | null;
  email: string | null;
  role: Role;
  createdAt: Date;
  updatedAt: Date;
  flaggedReason: string | null;
}>;

export type BalanceRecord = Readonly<{ available: number; held: number; expiringSoon: number }>;
export type LotRecord = Readonly<{
  id: number;
  credits: number;
  expiresAt: Date | null;
  allocatedAt: Date;
  source: AllocationBody['source'];
  priority: number;
  models: string[] | null;
  upstreams: string[] | null;
  workspaceId: string | null;
}>;

/** What looks like an id is one; else by e-mail address or user name, of several the one with the newest profile. */
export type FindAccount = (name: string) => Promise<Account | undefined>;

export type Accounts = {
  /** Opens the account when it is new; takes over a newer profile. */
  touch(claims: Claims): Promise<void>;
  find: FindAccount;
  /** False when the id is taken (`id`) or the address belongs to another account (`email`). */
  create(account: { id: string; email: string; username: string; role: Role }): Promise<Account | 'id' | 'email'>;
  balance(userId: string): Promise<BalanceRecord>;
  /** The account that pays for what a user asks in a workspace: the user's own, or the workspace's pool. */
  payerOf(userId: UserId, workspaceId: string): Promise<string>;
  isWithin: IsWithin;
  /** Lots that can be spent now, in burn order. */
  activeLots(userId: string): Promise<LotRecord[]>;
};

export type PriceRule = ServerResult<typeof accounting.createPrice>;
export type NewPrice = Omit<PriceRule, 'ruleId' | 'version' | 'validFrom' | 'createdAt'> & {
  validFrom?: string | undefined;
};

/** Patterns exactly as they were written; `current`: of each rule the version in force. */
export type PriceFilter = Readonly<{
  limit: number;
  /** The rule id that the page before ended with. */
  after?: string | undefined;
  upstream?: string | undefined;
  model?: string | undefined;
  chatflow?: string | undefined;
  group?: string | undefined;
  current: boolean;
}>;

export type Prices = {
  /** The price that a new request for the resource has now, when that account pays. */
  find(resource: Resource, accountId: string): Promise<Price | undefined>;
  byId(ruleId: string): Promise<Price | undefined>;
  /** The whole rule as it is stored at this moment. */
  rule(ruleId: string): Promise<PriceRule | undefined>;
  /** Newest first. */
  list(filter: PriceFilter): Promise<PriceRule[]>;
  /** null: the account has no group; undefined: there is no such account. */
  group(accountId: string): Promise<string | null | undefined>;
  /** The group it had before, in the same sense. */
  setGroup(accountId: string, group: string | null): Promise<string | null | undefined>;
  /** The next version of its rule; 'past' when it would begin before now. */
  add(price: NewPrice): Promise<PriceRule | 'past'>;
};

export type Grant = Doer &
  LotFilter &
  Readonly<{
    userId: string;
    source: 'admin' | 'promo' | 'plan';
    credits: number;
    expiryDays: number | null;
    expiresAt?: string | undefined;
    effectiveAt?: string | undefined;
    priority?: number | undefined;
    /** The business event that this lot is for; there is one lot of a source for it, for ever. */
    grantKey?: string | undefined;
  }>;
export type Granted =
  | Readonly<{ outcome: 'granted'; id: number; remaining: number; expiresAt: Date | null }>
  /** The lot that is there. */
  | Readonly<{ outcome: 'duplicate'; id: number }>
  | Readonly<{ outcome: 'unknown' | 'too_much' | 'bad_term' }>;

export type Adjust = Doer &
  Readonly<{
    userId: string;
    change?: number;
    target?: number;
    largestChange?: number | undefined;
    expiryDays?: number | null;
  }>;
export type Adjusted = Readonly<{
  outcome: 'adjusted' | 'unknown' | 'negative' | 'capped' | 'too_much';
  previous: number;
  current: number;
}>;

export type Revoked = Readonly<{ userId: string; revoked: number; held: number }>;
export type UsageRecord = Readonly<{
  userId: UserId;
  service: string;
  operation: string;
  credits: number;
  metadata: Readonly<Record<string, unknown>>;
}>;

export type KeyClaim = Readonly<{ caller: string; operation: string; key: string; fingerprint: string }>;
export type StoredAnswer = Readonly<{ status: number; body: unknown }>;

/** The door to the tables inside a transaction; what happens through it stands or falls together. */
export type Tx = PaymentTx & {
  /** `claimed`: go on. `running`: another transaction has the key. Else the fingerprint and answer of the first request. */
  claimKey(claim: KeyClaim): Promise<'claimed' | 'running' | (StoredAnswer & { fingerprint: string })>;
  keepAnswer(claim: KeyClaim, answer: StoredAnswer): Promise<void>;
  /** What `work` did is undone when it throws; what came before stays. */
  savepoint<T>(work: () => Promise<T>): Promise<T>;
  touch(claims: Claims): Promise<void>;
  findAccount: FindAccount;
  isWithin: IsWithin;
  grant(grant: Grant): Promise<Granted>;
  adjust(adjust: Adjust): Promise<Adjusted>;
  revoke(lotId: number, doer: Doer): Promise<Revoked | undefined>;
  recordUsage(usage: UsageRecord): Promise<{ id: number; timestamp: Date }>;
};

export type Transaction = <T>(work: (tx: Tx) => Promise<T>) => Promise<T>;

export type SessionFilter = Readonly<{
  userId?: string;
  active?: true;
  minutes?: number;
  limit: number;
  /** Everywhere when absent. */
  within?: Scope | undefined;
}>;

export type AllocationBody = ServerResult<typeof accounting.listAllocations>['allocations'][number];
export type TransactionBody = ServerResult<typeof accounting.listTransactions>['transactions'][number];
export type UsageBody = ServerResult<typeof accounting.readSystemUsage>;

/** Lists and sums for people; never part of a decision about money. */
export type Reports = UsageReports & {
  sessions(filter: SessionFilter): Promise<HoldRecord[]>;
  allocations(page: Page, within?: Scope): Promise<AllocationBody[]>;
  transactions(userId: string, page: Page): Promise<TransactionBody[]>;
  usage(period: Period, userId?: string, within?: Scope): Promise<UsageBody>;
};

export type Chores = {
  /** Books lots that have lapsed; the number booked. */
  expireLots(accounts: number): Promise<number>;
  /** Forgets up to `limit` answers older than so many seconds; the number forgotten. */
  forgetAnswers(seconds: number, limit: number): Promise<number>;
  /** Forgets up to `limit` counters of windows long past; the number forgotten. */
  forgetCounters(limit: number): Promise<number>;
  /** Sums the usage of the next day that is over; reports are right without it, only slower. */
  rollUpUsage(): Promise<'summed' | 'waiting' | 'busy' | 'done'>;
  /** The holds that are open, as the books have them. */
  openHolds(): Promise<OpenHoldFigures>;
  /** The clock of money. */
  now(): Promise<Date>;
  /** Runs `work` unless another instance is doing the same chore; false when it is. */
  alone(chore: string, work: () => Promise<void>): Promise<boolean>;
};

export type Ports = PaymentPorts &
  Readonly<{
    accounts: Accounts;
    holds: Holds;
    limits: Limits;
    keyLimits: KeyLimitStore;
    workspaces: Workspaces;
    members: Members;
    blocks: Blocks;
    prices: Prices;
    transaction: Transaction;
    reports: Reports;
    explanations: Explanations;
    chores: Chores;
    tenants: Tenants;
    outbox: Outbox;
    /** Where events go; each is served by itself. */
    channels: readonly Channel[];
    deliveryPace: DeliveryPace;
    /** 0 to 1. */
    random(): number;
    audit: LedgerAudit;
    heads: LedgerHeads;
    /** Absent without a secret to sign with: no heads are taken. */
    headKeys?: HeadKeys | undefined;
    /** Absent unless heads are copied to a file. */
    keepHead?: KeepHead | undefined;
    announce?: Announce | undefined;
    events: Events;
    /** Puts something down in auth's audit log, later; without auth nothing is. */
    report(report: auth.NewAuditReport): void;
    rules: Rules;
  }>;
