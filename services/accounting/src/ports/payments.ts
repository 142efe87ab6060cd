import type { accounting, ServerResult } from '@tollgate/contracts';
import type { Claims } from '../domain/callers.ts';
import type { PaymentFact } from '../domain/payments/payment-facts.ts';
import type { TopUpRules } from '../domain/payments/top-up-price.ts';
import type { Doer } from './holds.ts';

export type LotFilter = Readonly<{
  models?: readonly string[] | undefined;
  upstreams?: readonly string[] | undefined;
  workspaceId?: string | undefined;
}>;

export type Refund = Doer &
  Readonly<{ holdId?: string | undefined; transactionId?: number | undefined; credits: number; reason: string }>;
export type Refunded =
  | Readonly<{
      outcome: 'refunded';
      id: number;
      userId: string;
      holdId: string;
      transactionId: number;
      debtRepaid: number;
      graceLot: { id: number; credits: number; expiresAt: Date } | null;
      refundable: number;
      available: number;
    }>
  | Readonly<{ outcome: 'unknown' }>
  | Readonly<{ outcome: 'excess'; refundable: number }>;

export type TopUpBody = ServerResult<typeof accounting.readTopUp>;
export type NewTopUp = Readonly<{
  claims: Claims;
  provider: accounting.PaymentProvider;
  credits: number;
  amount: number;
  currency: string;
}>;

export type NewVouchers = LotFilter &
  Readonly<{
    hashes: readonly string[];
    credits: number;
    expiryDays: number | null;
    redeemableUntil: string;
    actor: string;
  }>;
export type Redeemed =
  | Readonly<{ outcome: 'redeemed'; allocationId: number; credits: number; remaining: number; expiresAt: Date | null }>
  | Readonly<{ outcome: 'unknown' }>
  | Readonly<{ outcome: 'taken' }>
  | Readonly<{ outcome: 'too_much' }>;
export type VoucherBody = ServerResult<typeof accounting.listVouchers>['vouchers'][number];

/** How credits come in and go back, inside a transaction. */
export type PaymentTx = {
  refund(refund: Refund): Promise<Refunded>;
  orderTopUp(order: NewTopUp): Promise<TopUpBody>;
  /** Their ids, in order; none when nobody could redeem them in time. */
  createVouchers(vouchers: NewVouchers): Promise<number[]>;
  redeemVoucher(claims: Claims, hash: string, doer: Doer): Promise<Redeemed>;
};

export type PaymentEvent = PaymentFact &
  Readonly<{
    provider: accounting.PaymentProvider;
    bodyHash: string;
    policy: 'absorb' | 'debt';
    requestId: string;
  }>;
export type ReceivedPayment = Readonly<{
  outcome: 'applied' | 'ignored' | 'waiting' | `refused:${string}`;
  isRepetition: boolean;
  orderId: string | null;
  userId: string | null;
  state: TopUpBody['state'] | null;
  granted: number;
  takenBack: number;
  shortfall: number;
}>;

type ListPage = Readonly<{ limit: number; after?: number | undefined }>;

export type Payments = {
  /** One transaction in itself: the event, its order and the credits stand or fall together. */
  receive(event: PaymentEvent): Promise<ReceivedPayment>;
  /** `position` is the order's place in the list. */
  list(userId: string, page: ListPage): Promise<(TopUpBody & { position: number })[]>;
  find(userId: string, orderId: string): Promise<TopUpBody | undefined>;
};

export type Vouchers = {
  list(page: ListPage): Promise<VoucherBody[]>;
  void(id: number, actor: string): Promise<'voided' | 'taken' | 'unknown'>;
};

/** The providers that are set up, in the order of preference, each with its secrets: the newest and those it replaces. */
export type ProviderSecrets = ReadonlyMap<accounting.PaymentProvider, readonly string[]>;

export type PaymentPorts = Readonly<{
  payments: Payments;
  vouchers: Vouchers;
  providers: ProviderSecrets;
  topUpRules: TopUpRules;
  /** Spends one of the few tries a user has at a voucher's code. @throws AppError RATE_LIMITED */
  tryVoucher: (userId: string) => Promise<void>;
  /** So many random bytes. */
  randomBytes: (bytes: number) => Uint8Array;
}>;
