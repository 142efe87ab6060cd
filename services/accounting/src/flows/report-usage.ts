import { AppError } from '@tollgate/http-kit';
import type { Person } from '../domain/callers.ts';
import type { GroupQuery, Ports, RecordQuery, UsageGroups, UsageRecordRow } from '../ports.ts';
import { viewOf } from './workspaces/view-of.ts';

/**
 * Usage summed by what the query names. Everybody's is for administrators; a supervisor may see what a user of its workspace
 * did there, one user at a time.
 * Whose usage an end user sees is decided by the route, never by the query.
 */
export const createReportUsage = (deps: Pick<Ports, 'accounts' | 'reports' | 'rules'>) =>
  async function reportUsage(caller: Viewer, query: GroupQuery): Promise<UsageGroups> {
    const { userId } = query.filter;
    if (caller === 'owner') return deps.reports.usageGroups(query);
    if (caller.role !== 'admin' && userId === undefined)
      throw new AppError('FORBIDDEN', 'Only an administrator may see everybody; name one user by userId');
    const within = await viewOf(deps, caller, userId);
    return deps.reports.usageGroups({ ...query, filter: { ...query.filter, within } });
  };

/** Usage row by row, newest first. */
export const createListUsage = (deps: Pick<Ports, 'accounts' | 'reports' | 'rules'>) =>
  async function listUsage(caller: Viewer, query: RecordQuery): Promise<UsageRecordRow[]> {
    const within = caller === 'owner' ? undefined : await viewOf(deps, caller, query.userId);
    return deps.reports.usageRecords({ ...query, within });
  };

/** Who looks: whoever the usage is of sees all of it, others as far as they may. */
export type Viewer = 'owner' | Pick<Person, 'role' | 'workspaceId'>;

/** Sums the usage of the days that are over. True when there may be more. */
export const createRollUpUsage = ({ chores }: Pick<Ports, 'chores'>) =>
  async function rollUpUsage(): Promise<boolean> {
    return (await chores.rollUpUsage()) === 'summed';
  };
