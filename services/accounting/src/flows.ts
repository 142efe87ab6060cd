import { createAdjustCredits, createRevokeAllocation } from './flows/adjust-credits.ts';
import {
  createCreateAccount,
  createListAllocations,
  createListPrices,
  createListTransactions,
  createSetPrice,
  createVerifyLedger,
} from './flows/administer.ts';
import { createAllocateCredits } from './flows/allocate-credits.ts';
import { createDeductCredits } from './flows/deduct-credits.ts';
import { createHoldCredits } from './flows/hold-credits.ts';
import { createExtendHold, createReadHold, createRenewHold, createRenewHolds } from './flows/keep-hold.ts';
import { createOnce } from './flows/once.ts';
import { createCalculateCredits } from './flows/price-operation.ts';
import { createReadBalanceOf, createReadOwnBalance } from './flows/read-balance.ts';
import { createSettleHold, createVoidHold } from './flows/settle-hold.ts';
import { createCloseSession, createListSessions, createOpenSession } from './flows/streaming-sessions.ts';
import { createExpireCredits, createForgetAnswers, createSweepHolds } from './flows/sweep-holds.ts';
import { createListUsage, createReportUsage, createRollUpUsage } from './flows/report-usage.ts';
import { createRecordUsage, createUsageReport } from './flows/usage.ts';
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
    listAllocations: createListAllocations(deps),
    listTransactions: createListTransactions(deps),
    verifyLedger: createVerifyLedger(deps),
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
    reportUsage: createReportUsage(deps),
    listUsage: createListUsage(deps),
    createAccount: createCreateAccount(deps),
    setPrice: createSetPrice(deps),
    listPrices: createListPrices(deps),
    sweepHolds: createSweepHolds(deps),
    expireCredits: createExpireCredits(deps),
    forgetAnswers: createForgetAnswers(deps),
    rollUpUsage: createRollUpUsage(deps),
  };
}
