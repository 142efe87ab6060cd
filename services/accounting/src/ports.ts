import type { accounting, Price, Role, ServerResult, UserId } from '@tollgate/contracts';
import type { Claims } from './domain/callers.ts';
import type { HoldRecord } from './domain/hold-state.ts';
import type { Resource } from './domain/price-match.ts';
import type { Doer, Holds } from './ports/holds.ts';
import type { Period, UsageReports } from './ports/usage.ts';

export type * from './ports/holds.ts';
export type * from './ports/usage.ts';

export type Account = Readonly<{
  id: string;
  username: string | null;
  email: string | null;
  role: Role;
  createdAt: Date;
  updatedAt: Date;
}>;

export type BalanceRecord = Readonly<{ available: number; held: number; expiringSoon: number }>;
export type LotRecord = Readonly<{ id: number; credits: number; expiresAt: Date | null; allocatedAt: Date }>;

/** What looks like an id is one; else by e-mail address or user name, of several the one with the newest profile. */
export type FindAccount = (name: string) => Promise<Account | undefined>;

export type Accounts = {
  /** Opens the account when it is new; takes over a newer profile. */
  touch(claims: Claims): Promise<void>;
  find: FindAccount;
  /** False when the id is taken (`id`) or the address belongs to another account (`email`). */
  create(account: { id: string; email: string; username: string; role: Role }): Promise<Account | 'id' | 'email'>;
  balance(userId: string): Promise<BalanceRecord>;
  /** Lots that can be spent now, in burn order. */
  activeLots(userId: string): Promise<LotRecord[]>;
};

export type PriceRule = ServerResult<typeof accounting.createPrice>;
export type NewPrice = Omit<PriceRule, 'ruleId' | 'version' | 'validFrom' | 'createdAt'> & {
  validFrom?: string | undefined;
};

export type Prices = {
  /** The price that a new request for the resource has now. */
  find(resource: Resource): Promise<Price | undefined>;
  byId(ruleId: string): Promise<Price | undefined>;
  list(): Promise<PriceRule[]>;
  /** The next version of its rule; 'past' when it would begin before now. */
  add(price: NewPrice): Promise<PriceRule | 'past'>;
};

export type Grant = Doer & Readonly<{ userId: string; source: 'admin'; credits: number; expiryDays: number | null }>;
export type Granted =
  | Readonly<{ outcome: 'granted'; id: number; remaining: number; expiresAt: Date | null }>
  | Readonly<{ outcome: 'unknown' }>
  | Readonly<{ outcome: 'too_much' }>;

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
export type Tx = {
  /** `claimed`: go on. `running`: another transaction has the key. Else the fingerprint and answer of the first request. */
  claimKey(claim: KeyClaim): Promise<'claimed' | 'running' | (StoredAnswer & { fingerprint: string })>;
  keepAnswer(claim: KeyClaim, answer: StoredAnswer): Promise<void>;
  /** What `work` did is undone when it throws; what came before stays. */
  savepoint<T>(work: () => Promise<T>): Promise<T>;
  touch(claims: Claims): Promise<void>;
  findAccount: FindAccount;
  grant(grant: Grant): Promise<Granted>;
  adjust(adjust: Adjust): Promise<Adjusted>;
  revoke(lotId: number, doer: Doer): Promise<Revoked | undefined>;
  recordUsage(usage: UsageRecord): Promise<{ id: number; timestamp: Date }>;
};

export type Transaction = <T>(work: (tx: Tx) => Promise<T>) => Promise<T>;

export type Page = Readonly<{ limit: number; after?: number | undefined }>;
export type SessionFilter = Readonly<{ userId?: string; active?: true; minutes?: number; limit: number }>;

export type AllocationBody = ServerResult<typeof accounting.listAllocations>['allocations'][number];
export type TransactionBody = ServerResult<typeof accounting.listTransactions>['transactions'][number];
export type UsageBody = ServerResult<typeof accounting.readSystemUsage>;

/** Lists and sums for people; never part of a decision about money. */
export type Reports = UsageReports & {
  sessions(filter: SessionFilter): Promise<HoldRecord[]>;
  allocations(page: Page): Promise<AllocationBody[]>;
  transactions(userId: string, page: Page): Promise<TransactionBody[]>;
  usage(period: Period, userId?: string): Promise<UsageBody>;
};

export type LedgerCheck = Readonly<{
  invariant: string;
  title: string;
  offenders: number;
  first: Record<string, unknown> | null;
}>;

export type Chores = {
  verifyLedger(): Promise<{ checkedAt: Date; checks: LedgerCheck[] }>;
  /** Books lots that have lapsed; the number booked. */
  expireLots(accounts: number): Promise<number>;
  /** Forgets up to `limit` answers older than so many seconds; the number forgotten. */
  forgetAnswers(seconds: number, limit: number): Promise<number>;
  /** Sums the usage of the next day that is over; reports are right without it, only slower. */
  rollUpUsage(): Promise<'summed' | 'waiting' | 'busy' | 'done'>;
  /** The clock of money. */
  now(): Promise<Date>;
  /** Runs `work` unless another instance is doing the same chore; false when it is. */
  alone(chore: string, work: () => Promise<void>): Promise<boolean>;
};

export type Rules = Readonly<{
  leaseSeconds: number;
  sessionLeaseSeconds: number;
  overrunPolicy: 'absorb' | 'debt';
  supervisorCap: number;
  allocateOpensAccounts: boolean;
  keyRetentionSeconds: number;
}>;

/** The business facts that are counted and logged. */
export type Events = {
  holdOpened(fact: { holdId: string; userId: string; credits: number; clamped: boolean }): void;
  holdClosed(fact: { cause: 'settle' | 'void' | 'sweep'; hold: HoldRecord }): void;
  refused(fact: { reason: 'insufficient_credits' | 'model_not_priced'; userId: string }): void;
  moved(fact: {
    kind: 'allocated' | 'adjusted' | 'revoked' | 'deducted';
    userId: string;
    credits: number;
    actor: string;
  }): void;
  lotsExpired(fact: { lots: number }): void;
};

export type Ports = Readonly<{
  accounts: Accounts;
  holds: Holds;
  prices: Prices;
  transaction: Transaction;
  reports: Reports;
  chores: Chores;
  events: Events;
  rules: Rules;
}>;
