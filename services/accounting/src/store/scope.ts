import type { IsWithin } from '../ports.ts';
import type { Query } from './postgres.ts';

/** Asks on the given connection, so that a decision within a transaction needs no second one. */
export const isWithinOn =
  (query: Query): IsWithin =>
  async (accountId, { workspaceId, isDefault }) => {
    const [row] = await query<{ is_within: boolean }>('SELECT ledger.is_within($1, $2, $3) AS is_within', [
      accountId,
      workspaceId,
      isDefault,
    ]);
    return row?.is_within ?? false;
  };
