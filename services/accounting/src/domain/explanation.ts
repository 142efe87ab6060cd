import { priceSteps } from './explained-price.ts';
import { faultsOf } from './explanation-faults.ts';
import type {
  ExplainedPayment,
  ExplainedPrice,
  Explanation,
  PriceRule,
  TransactionRecord,
} from './transaction-record.ts';

/** How a transaction came about, recomputed from what is stored, and whether that is what was booked. */
export function explanationOf(record: TransactionRecord, rule: PriceRule | undefined): Explanation {
  const { transaction, userId, correctsId, lot, related } = record;
  const price = priceOf(record, rule);
  const payment = paymentOf(record);
  const faults = faultsOf(record, price, payment);
  return {
    transaction,
    userId,
    matches: faults.length === 0,
    faults,
    price,
    payment,
    lot: lot && { ...lot, repaidDebtCredits: Math.max(0, -transaction.debtChange) },
    corrects: correctsId,
    correctedBy: related.filter((other) => other.correctsId === transaction.id).map(({ id }) => id),
  };
}

/** For who asked for an answer that a pool paid: this charge alone, and neither what the pool has nor what it did besides. */
export const withoutPool = (explanation: Explanation): Explanation => ({
  ...explanation,
  transaction: {
    ...explanation.transaction,
    sequence: null,
    availableAfter: null,
    heldAfter: null,
    allocationId: null,
  },
  payment: explanation.payment && { ...explanation.payment, lots: [] },
  lot: null,
});

/** Sum of the entries of a transaction on one account. */
const booked = ({ transaction: { entries } }: TransactionRecord, account: string): number =>
  entries.filter((entry) => entry.account === account).reduce((sum, { amount }) => sum + amount, 0);

/** The units and the amount that are recomputed: of a hold what it reserves, of everything later what was used. */
function priceOf(record: TransactionRecord, rule: PriceRule | undefined): ExplainedPrice | null {
  const { hold, transaction } = record;
  if (!hold) return null;
  if (transaction.type === 'hold' || transaction.type === 'extend')
    return priceSteps(hold.priceRuleId, rule, {
      basis: 'reserved',
      units: hold.units,
      usageSource: null,
      bookedCredits: hold.heldCredits,
      bookedRounding: null,
    });
  const { charges, isCorrection } = chargesOf(record);
  const lines = hold.usage.filter((line) => !line.isRefund && (isCorrection || !line.isCorrection));
  const last = lines.at(-1);
  return priceSteps(hold.priceRuleId, rule, {
    basis: 'used',
    units: last?.units ?? {},
    usageSource: last?.usageSource ?? null,
    // What was written off before a refund stays written off: the refund goes down to what the payer owes.
    bookedCredits: charges.reduce(
      (sum, { revenue, writeoff }) => sum + revenue + (isCorrection && transaction.type === 'refund' ? writeoff : 0),
      0,
    ),
    bookedRounding: lines.map(({ roundingMicro }) => roundingMicro),
  });
}

/** The transactions whose sum is the price. What people gave back is no part of it: they explain the charge that they give back. */
function chargesOf({ transaction: { id: own, type }, correctsId, related }: TransactionRecord) {
  const isRefund = related.some(({ id, refunded }) => id === own && refunded > 0);
  // A correction is one to the full charge, so that it is explained together with what it corrects.
  const isCorrection = !isRefund && (type === 'late_settle' || type === 'refund');
  const explained = isRefund ? correctsId : own;
  // A late settlement that gives back has left out what people had given back before.
  const counts = ({ id, refunded }: { id: number; refunded: number }) =>
    id <= own && (refunded === 0 || type === 'refund');
  return { isCorrection, charges: related.filter((one) => (isCorrection ? counts(one) : one.id === explained)) };
}

function paymentOf(record: TransactionRecord): ExplainedPayment | null {
  const { hold, transaction } = record;
  if (!hold) return null;
  const { type, availableChange, heldChange, debtChange: debtCredits } = transaction;
  const revenue = booked(record, 'revenue');
  const writtenOffCredits = 0 - booked(record, 'writeoff');
  const isClosing = type === 'settle' || type === 'void';
  const isCharge = isClosing || type === 'late_settle';
  const releasedCredits = isClosing ? hold.releasedCredits : 0;
  const overrunCredits = isCharge ? releasedCredits - availableChange : 0;
  return {
    heldCredits: Math.abs(heldChange),
    chargedCredits: revenue,
    fromHoldCredits: isClosing ? revenue - overrunCredits - debtCredits - writtenOffCredits : 0,
    overrunCredits,
    debtCredits,
    writtenOffCredits,
    refundedCredits: type === 'refund' ? 0 - revenue : 0,
    releasedCredits,
    lapsedCredits: isClosing ? hold.lapsedCredits : 0,
    lots: [...hold.lots],
  };
}
