import { AppError } from '@tollgate/http-kit';
import type { Person } from '../domain/callers.ts';
import type { GroupQuery, Ports, RecordQuery, UsageGroups, UsageRecordRow } from '../ports.ts';

/**
 * Usage summed by what the query names. Everybody's is for administrators; a supervisor may see any user's, one at a time.
 * Whose usage an end user sees is decided by the route, never by the query.
 */
export const createReportUsage = ({ reports }: Pick<Ports, 'reports'>) =>
  async function reportUsage({ role }: Pick<Person, 'role'>, query: GroupQuery): Promise<UsageGroups> {
    if (role !== 'admin' && query.filter.userId === undefined)
      throw new AppError('FORBIDDEN', 'Only an administrator may see everybody; name one user by userId');
    return reports.usageGroups(query);
  };

/** Usage row by row, newest first. */
export const createListUsage = ({ reports }: Pick<Ports, 'reports'>) =>
  function listUsage(query: RecordQuery): Promise<UsageRecordRow[]> {
    return reports.usageRecords(query);
  };

/** Sums the usage of the days that are over. True when there may be more. */
export const createRollUpUsage = ({ chores }: Pick<Ports, 'chores'>) =>
  async function rollUpUsage(): Promise<boolean> {
    return (await chores.rollUpUsage()) === 'summed';
  };
