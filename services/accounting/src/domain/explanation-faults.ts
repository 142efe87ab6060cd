import { Units } from '@tollgate/contracts';
import type { ExplainedPayment, ExplainedPrice, TransactionRecord } from './transaction-record.ts';

/** A statement that must be true of the books, and what is said when it is not. */
type Claim = readonly [isTrue: boolean, fault: string];

/** What of a transaction cannot be recomputed to what was booked. Empty: everything can. */
export function faultsOf(
  record: TransactionRecord,
  price: ExplainedPrice | null,
  payment: ExplainedPayment | null,
): string[] {
  const claims = [
    ...entryClaims(record),
    ...priceClaims(record, price),
    ...(payment ? [...paymentClaims(record, payment), ...usageClaims(record, payment), ...holdLotClaims(record)] : []),
    ...lotClaims(record),
  ];
  return claims.filter(([isTrue]) => !isTrue).map(([, fault]) => fault);
}

const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0);

function entryClaims({ transaction, userId }: TransactionRecord): Claim[] {
  const of = (account: string) =>
    sum(
      transaction.entries.filter((entry) => entry.account === `user:${userId}:${account}`).map(({ amount }) => amount),
    );
  return [
    [sum(transaction.entries.map(({ amount }) => amount)) === 0, 'the entries do not sum to 0'],
    [of('available') === transaction.availableChange, 'the entries do not move the available credits as they say'],
    [of('held') === transaction.heldChange, 'the entries do not move the held credits as they say'],
    [of('debt') === -transaction.debtChange, 'the entries do not move the debt as they say'],
  ];
}

function priceClaims({ hold, related }: TransactionRecord, price: ExplainedPrice | null): Claim[] {
  if (!hold) return [];
  const stored = [hold.units, ...hold.usage.map(({ units }) => units)];
  const readable: Claim = [
    stored.every((units) => Units.safeParse(units).success),
    'the stored units are not units that could have been booked',
  ];
  if (!price) return [readable, [false, 'the price version is gone']];
  // An extension keeps what was reserved before, also when it asks for less of something or for something cheaper.
  // Those of older holds were counted only by their transactions.
  const isExtended = hold.extensions > 0 || related.some(({ type }) => type === 'extend');
  const mayBeMore = price.basis === 'reserved' && isExtended;
  const isBooked = mayBeMore ? price.credits <= price.bookedCredits : price.credits === price.bookedCredits;
  const { bookedRoundingMicroCredits } = price;
  return [
    readable,
    [isBooked, 'the price of the stored units is not what was booked'],
    [
      bookedRoundingMicroCredits === null || bookedRoundingMicroCredits === price.roundingMicroCredits,
      'the rounding is not what was booked',
    ],
  ];
}

const isClosing = ({ type }: { type: string }): boolean => type === 'settle' || type === 'void';

function paymentClaims({ hold, transaction, related }: TransactionRecord, payment: ExplainedPayment): Claim[] {
  if (!hold) return [];
  const reserved = related.filter(({ type }) => type === 'hold' || type === 'extend');
  // What people gave back leaves the charge as it is.
  const charged = sum(related.map(({ revenue, writeoff, refunded }) => revenue + writeoff + refunded));
  const claims: Claim[] = [
    [hold.chargedCredits === charged, 'the hold does not say what it was charged'],
    [sum(reserved.map(({ heldChange }) => heldChange)) === hold.heldCredits, 'the hold is not what was moved to it'],
  ];
  if (!isClosing(transaction)) return claims;
  const { heldCredits, fromHoldCredits, overrunCredits, releasedCredits, lapsedCredits } = payment;
  const isCorrected = related.some(({ type }) => type === 'late_settle');
  return [
    ...claims,
    [
      isCorrected ? overrunCredits <= hold.overrunCredits : overrunCredits === hold.overrunCredits,
      'the hold does not say what went beyond it',
    ],
    [heldCredits === hold.heldCredits, 'the transaction did not close the whole hold'],
    [
      fromHoldCredits >= 0 && overrunCredits >= 0 && fromHoldCredits + releasedCredits + lapsedCredits === heldCredits,
      'what was charged, released and lapsed is not what was held',
    ],
  ];
}

/** The row of usage says the same amounts as the ledger. */
function usageClaims({ hold, transaction, related }: TransactionRecord, payment: ExplainedPayment): Claim[] {
  if (!hold || transaction.type === 'hold' || transaction.type === 'extend') return [];
  const refunds = related.filter(({ refunded }) => refunded > 0);
  const own = refunds.find(({ id }) => id === transaction.id);
  const lines = hold.usage.filter(
    ({ isCorrection, isRefund }) => isRefund === Boolean(own) && isCorrection === !isClosing(transaction),
  );
  // The rows do not name the transactions of several refunds, so these are compared together.
  const chargedCredits = own ? -sum(refunds.map(({ refunded }) => refunded)) : payment.chargedCredits;
  const { writtenOffCredits } = payment;
  return [
    [own === undefined || payment.refundedCredits === own.refunded, 'the refund names another amount'],
    [
      sum(lines.map(({ credits }) => credits)) === chargedCredits - writtenOffCredits &&
        sum(lines.map((line) => line.writtenOffCredits)) === writtenOffCredits,
      'the usage log names another amount',
    ],
  ];
}

/** The lots of a hold have paid what its transactions charged; of a refund, what their lots had lapsed for went to a new one. */
function holdLotClaims({ hold, related }: TransactionRecord): Claim[] {
  if (!hold) return [];
  const paid = sum(hold.lots.map(({ paidCredits }) => paidCredits));
  const due = sum(related.map(({ revenue, writeoff, debtChange }) => revenue + writeoff - debtChange));
  const isRefunded = related.some(({ type }) => type === 'refund');
  return [
    [isRefunded ? paid >= due : paid === due, 'the lots have not paid what was charged'],
    [
      sum(hold.lots.map(({ heldCredits }) => heldCredits)) === hold.heldCredits,
      'the lots have not reserved what was held',
    ],
  ];
}

function lotClaims({ lot, transaction }: TransactionRecord): Claim[] {
  const { type, availableChange, debtChange, reason, createdAt } = transaction;
  const claims: Claim[] = [[type !== 'adjustment' || Boolean(reason), 'an adjustment without a reason']];
  if (!lot) return claims;
  const { remainingCredits, heldCredits, consumedCredits, expiredCredits, revokedCredits, grantedCredits } = lot;
  claims.push([
    remainingCredits + heldCredits + consumedCredits + expiredCredits + revokedCredits === grantedCredits,
    'the lot does not add up',
  ]);
  if (type === 'grant' || type === 'adjustment')
    claims.push([availableChange - debtChange === grantedCredits, 'the lot is not what was granted']);
  if (type === 'expire')
    claims.push(
      [-availableChange <= expiredCredits, 'less of the lot has expired than was booked'],
      [lot.expiresAt !== null && lot.expiresAt <= createdAt, 'the lot had not lapsed'],
    );
  if (type === 'revoke')
    claims.push(
      [-availableChange <= revokedCredits, 'less of the lot was revoked than was booked'],
      // A payment that went back in part takes that part of its lot.
      [lot.voidedAt !== null || lot.source === 'topup', 'the lot was not revoked'],
    );
  return claims;
}
