import type { accounting, ServerInput, ServerResult } from '@tollgate/contracts';
import type { Person } from '../domain/callers.ts';
import type { Period, Ports, UsageBody } from '../ports.ts';
import type { Agent } from './hold-credits.ts';
import type { Answered, OneTime, Once } from './once.ts';
import { viewOf } from './workspaces/view-of.ts';

type Ask = ServerInput<typeof accounting.recordUsage>['body'];
type Recorded = ServerResult<typeof accounting.recordUsage>;

/** Notes usage that has no hold. Moves no credits. */
export const createRecordUsage = ({ once }: { once: Once }) =>
  async function recordUsage(agent: Agent, request: OneTime, ask: Ask): Promise<Answered<Recorded>> {
    return once(request, async (tx) => {
      await tx.touch({ id: agent.userId });
      const { id, timestamp } = await tx.recordUsage({ userId: agent.userId, ...ask });
      return {
        id,
        service: ask.service,
        operation: ask.operation,
        credits: ask.credits,
        timestamp: timestamp.toISOString(),
      };
    });
  };

/** Usage of one user, or of everybody, summed over a period. Whose is decided by the route. */
export const createUsageReport = ({ reports }: Pick<Ports, 'reports'>) =>
  function usageReport(period: Period, userId?: string): Promise<UsageBody> {
    return reports.usage(period, userId);
  };

/** Usage of somebody else, as far as the caller may look. */
export const createUsageReportOf = (deps: Pick<Ports, 'accounts' | 'reports' | 'rules'>) =>
  async function usageReportOf(
    caller: Pick<Person, 'role' | 'workspaceId'>,
    period: Period,
    userId: string,
  ): Promise<UsageBody> {
    return deps.reports.usage(period, userId, await viewOf(deps, caller, userId));
  };
