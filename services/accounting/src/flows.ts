import { createAdjustCredits, createRevokeAllocation } from './flows/adjust-credits.ts';
import { createCreateAccount, createListAllocations, createListTransactions } from './flows/administer.ts';
import { createChangeTenant, createReadTenant, createRearmAlerts } from './flows/outbox/administer-tenant.ts';
import { createAllocateCredits } from './flows/allocate-credits.ts';
import { createReconcile } from './flows/audit/reconcile.ts';
import { createListHeads, createTakeHead } from './flows/audit/take-head.ts';
import { createVerifyLedger } from './flows/audit/verify-ledger.ts';
import { createDeductCredits } from './flows/deduct-credits.ts';
import { createDeliverEvents, createRouteEvents, createTidyOutbox } from './flows/outbox/deliver-events.ts';
import { createExplainTransaction } from './flows/explain-transaction.ts';
import { createHoldCredits } from './flows/hold-credits.ts';
import { createExtendHold, createReadHold, createRenewHold, createRenewHolds } from './flows/keep-hold.ts';
import {
  createBlock,
  createChangeLimit,
  createCreateLimit,
  createEndLimit,
  createListBlocks,
  createListLimits,
  createReadBilling,
  createReadOwnLimits,
  createSetBilling,
  createSetKeyLimits,
  createUnblock,
} from './flows/limits.ts';
import { createMeasureHolds } from './flows/measure-holds.ts';
import { createOnce } from './flows/once.ts';
import { createListTopUps, createOrderTopUp, createReadTopUp } from './flows/payments/order-top-up.ts';
import { createReceivePayment } from './flows/payments/receive-payment.ts';
import { createRefundCharge } from './flows/payments/refund-charge.ts';
import {
  createCreateVouchers,
  createListVouchers,
  createRedeemVoucher,
  createVoidVoucher,
} from './flows/payments/vouchers.ts';
import { createCalculateCredits } from './flows/price-operation.ts';
import { createReadBalanceOf, createReadOwnBalance } from './flows/read-balance.ts';
import { createListPrices, createReadPriceGroup, createSetPrice, createSetPriceGroup } from './flows/set-prices.ts';
import { createSettleHold, createVoidHold } from './flows/settle-hold.ts';
import { createCloseSession, createListSessions, createOpenSession } from './flows/streaming-sessions.ts';
import {
  createExpireCredits,
  createForgetAnswers,
  createForgetCounters,
  createSweepHolds,
} from './flows/sweep-holds.ts';
import { createListUsage, createReportUsage, createRollUpUsage } from './flows/report-usage.ts';
import { createTellExport } from './flows/audit/tell-export.ts';
import { createRecordUsage, createUsageReport, createUsageReportOf } from './flows/usage.ts';
import type { Ports } from './ports.ts';

export type Flows = ReturnType<typeof createFlows>;

/** Everything this service does. */
export function createFlows(ports: Ports) {
  const deps = { ...ports, once: createOnce(ports) };
  return {
    readOwnBalance: createReadOwnBalance(deps),
    readBalanceOf: createReadBalanceOf(deps),
    calculateCredits: createCalculateCredits(deps),
    deductCredits: createDeductCredits(deps),
    allocateCredits: createAllocateCredits(deps),
    adjustCredits: createAdjustCredits(deps),
    revokeAllocation: createRevokeAllocation(deps),
    refundCharge: createRefundCharge(deps),
    orderTopUp: createOrderTopUp(deps),
    listTopUps: createListTopUps(deps),
    readTopUp: createReadTopUp(deps),
    receivePayment: createReceivePayment(deps),
    createVouchers: createCreateVouchers(deps),
    redeemVoucher: createRedeemVoucher(deps),
    listVouchers: createListVouchers(deps),
    voidVoucher: createVoidVoucher(deps),
    listAllocations: createListAllocations(deps),
    listTransactions: createListTransactions(deps),
    explainTransaction: createExplainTransaction(deps),
    tellExport: createTellExport(deps),
    verifyLedger: createVerifyLedger(deps),
    takeHead: createTakeHead(deps),
    listHeads: createListHeads(deps),
    reconcile: createReconcile(deps),
    holdCredits: createHoldCredits(deps),
    extendHold: createExtendHold(deps),
    renewHolds: createRenewHolds(deps),
    renewHold: createRenewHold(deps),
    readHold: createReadHold(deps),
    settleHold: createSettleHold(deps),
    voidHold: createVoidHold(deps),
    openSession: createOpenSession(deps),
    closeSession: createCloseSession(deps),
    listSessions: createListSessions(deps),
    recordUsage: createRecordUsage(deps),
    usageReport: createUsageReport(deps),
    usageReportOf: createUsageReportOf(deps),
    reportUsage: createReportUsage(deps),
    listUsage: createListUsage(deps),
    createAccount: createCreateAccount(deps),
    ...limitFlows(deps),
    setPrice: createSetPrice(deps),
    listPrices: createListPrices(deps),
    readPriceGroup: createReadPriceGroup(deps),
    setPriceGroup: createSetPriceGroup(deps),
    sweepHolds: createSweepHolds(deps),
    measureHolds: createMeasureHolds(deps),
    expireCredits: createExpireCredits(deps),
    forgetAnswers: createForgetAnswers(deps),
    forgetCounters: createForgetCounters(deps),
    readTenant: createReadTenant(deps),
    changeTenant: createChangeTenant(deps),
    rearmAlerts: createRearmAlerts(deps),
    routeEvents: createRouteEvents(deps),
    deliverEvents: createDeliverEvents(deps),
    tidyOutbox: createTidyOutbox(deps),
    rollUpUsage: createRollUpUsage(deps),
  };
}

/** Who may use how much, who pays for it, and who is stopped. */
function limitFlows(deps: Ports) {
  return {
    createLimit: createCreateLimit(deps),
    listLimits: createListLimits(deps),
    changeLimit: createChangeLimit(deps),
    endLimit: createEndLimit(deps),
    readOwnLimits: createReadOwnLimits(deps),
    setKeyLimits: createSetKeyLimits(deps),
    readBilling: createReadBilling(deps),
    setBilling: createSetBilling(deps),
    block: createBlock(deps),
    unblock: createUnblock(deps),
    listBlocks: createListBlocks(deps),
  };
}
