import { accounting, type ServerResult } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { BalanceWithLots } from '../flows/read-balance.ts';
import type { Flows } from '../flows.ts';
import { answered, callOf, nextCursor, pageOf } from './answers.ts';
import { listed } from './csv.ts';

export const creditRoutes = (flows: Flows): Route[] => [
  serve(accounting.readBalance).with(async (_input, caller) => balanceBody(await flows.readOwnBalance(caller))),
  serve(accounting.readTotalBalance).with(async (_input, caller) => {
    const { available, held, expiringSoon, payer } = await flows.readOwnBalance(caller);
    return { totalCredits: available, credits: available, available, held, expiringSoon, payer };
  }),
  serve(accounting.readBalanceOfUser).with(async ({ params }, caller) => {
    const { flaggedReason, ...balance } = await flows.readBalanceOf(caller, params.userId);
    return { ...balanceBody(balance), ...(caller.role === 'admin' && { flaggedReason }) };
  }),
  serve(accounting.checkCredits).with(async ({ body: { requiredCredits } }, caller) => {
    const { available: credits } = await flows.readOwnBalance(caller);
    return credits >= requiredCredits
      ? { sufficient: true, credits, requiredCredits }
      : { sufficient: false, message: 'Insufficient credits', credits, requiredCredits };
  }),
  serve(accounting.calculateCredits).with(({ body: { modelId, tokens, units, upstream, chatflowId } }, caller) =>
    flows.calculateCredits(
      caller.userId,
      { upstream, model: modelId, chatflowId },
      units ?? { request: 1, output: tokens ?? 0 },
    ),
  ),
  serve(accounting.deductCredits).with(async ({ body }, caller, context) => {
    const answer = await flows.deductCredits(caller, body, callOf(context));
    return answered(200, answer, (remaining) => ({
      success: true as const,
      message: `Successfully deducted ${body.credits} credits.`,
      remainingBalance: remaining,
      newBalance: remaining,
    }));
  }),
  serve(accounting.listTransactions).with(({ query }, { userId }, context) =>
    listed(
      {
        query,
        context,
        file: 'ledger.csv',
        exported: flows.tellExport,
        columns: LEDGER_COLUMNS,
        pageRows: LEDGER_ROWS,
        read: ledgerPages(flows, userId),
      },
      (page) => ({
        transactions: page.rows,
        nextCursor: page.nextCursor,
      }),
    ),
  ),
  serve(accounting.explainTransaction).with(({ params }, caller) => flows.explainTransaction(caller, params.id)),
  serve(accounting.verifyLedger).with(async ({ query }) => {
    const { ok, checkedAt, checks } = await flows.verifyLedger(query);
    const bodies = checks.map((check) => ({ ...check, ok: check.offenders === 0 }));
    return { ok, checkedAt: checkedAt.toISOString(), checks: bodies } as ServerResult<typeof accounting.verifyLedger>; // `first` is JSON from the database
  }),
  serve(accounting.listLedgerHeads).with(async ({ query }) => {
    const { heads, keys } = await flows.listHeads(pageOf(query));
    const positions = heads.map((head) => head.number);
    return { heads, keys, nextCursor: nextCursor(positions, query.limit) };
  }),
];

const ledgerPages = (flows: Flows, userId: string) => async (limit: number, cursor: string | undefined) => {
  const rows = await flows.listTransactions(userId, pageOf({ limit, cursor }));
  const positions = rows.map(({ sequence }) => sequence);
  return { rows, nextCursor: nextCursor(positions, limit) };
};

const LEDGER_ROWS = 1000;

/** Without the entries: the three changes are those of the account itself. */
const LEDGER_COLUMNS = [
  'id',
  'sequence',
  'createdAt',
  'type',
  'availableChange',
  'heldChange',
  'debtChange',
  'availableAfter',
  'heldAfter',
  'holdId',
  'allocationId',
  'actor',
  'reason',
  'requestId',
] as const;

const balanceBody = ({ available, held, lots, payer }: BalanceWithLots) => ({
  payer,
  totalCredits: available,
  credits: available,
  remainingCredits: available,
  available,
  held,
  activeAllocations: lots.map(({ expiresAt, allocatedAt, ...lot }) => ({
    ...lot,
    expiresAt: expiresAt?.toISOString() ?? null,
    allocatedAt: allocatedAt.toISOString(),
  })),
});
