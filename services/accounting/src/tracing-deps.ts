import { inSpan, requestContext } from '@tollgate/http-kit';
import type { Postgres, Query } from './store/postgres.ts';

/** The database as steps of the trace under way. Of a statement only the function of the ledger, or its first word, is told. */
export function tracedPostgres(postgres: Postgres): Postgres {
  const step = <T>(operation: () => string, work: () => Promise<T>): Promise<T> =>
    requestContext.get()?.span
      ? inSpan(['postgres', 'client', { 'db.system.name': 'postgresql', 'db.operation.name': operation() }], work)
      : work();
  const query: Query = (sql, values) => step(operationOf(sql), () => postgres.query(sql, values));
  return {
    ...postgres,
    query,
    transaction: (work) =>
      step(
        () => 'transaction',
        () => postgres.transaction(work),
      ),
    slow: (work) =>
      step(
        () => 'slow',
        () => postgres.slow(work),
      ),
    snapshot: (work) =>
      step(
        () => 'snapshot',
        () => postgres.snapshot(work),
      ),
  };
}

/** Our own words: values are bound and never a part of a statement. */
const operationOf = (sql: string) => (): string =>
  /\bledger\.\w+/.exec(sql)?.[0] ?? /\w+/.exec(sql)?.[0] ?? 'statement';
