import { auth } from '@tollgate/contracts';
import { AppError, type Route, serve } from '@tollgate/http-kit';
import { AUDIT_ACTIONS } from '../domain/audit-event.ts';
import type { Flows } from '../flows.ts';
import { auditLineView } from './views.ts';

/** Somebody waits for the answer; the command reads everything. */
const MOST_VERIFIED_LINES = 10_000;

export const auditRoutes = (flows: Flows): Route[] => [
  serve(auth.searchAudit).with(async ({ query }) => {
    const { limit, cursor, action, actor, target, workspaceId, from, to } = query;
    const filter = {
      chain: workspaceId,
      action: action === undefined ? undefined : actionOf(action),
      actorId: actor,
      targetId: target,
      from: from === undefined ? undefined : new Date(from),
      until: to === undefined ? undefined : new Date(to),
    };
    const { lines, nextCursor } = await flows.searchAudit(filter, { limit, cursor });
    return { lines: lines.map(auditLineView), nextCursor };
  }),
  serve(auth.verifyAudit).with(async ({ query }) => {
    const report = await flows.verifyAudit({ chain: query.workspaceId, mostLines: MOST_VERIFIED_LINES });
    return { ...report, checkedAt: report.checkedAt.toISOString(), faults: [...report.faults] };
  }),
  serve(auth.reportAudit).with(async ({ body }, { service }) => {
    await flows.takeReports(service, body.reports);
    return { accepted: body.reports.length };
  }),
];

function actionOf(name: string) {
  const action = AUDIT_ACTIONS.find((known) => known === name);
  if (!action) throw new AppError('VALIDATION_FAILED', 'There is no such action');
  return action;
}
