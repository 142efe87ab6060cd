import { auth } from '@tollgate/contracts';
import { createClient } from '@tollgate/http-kit/client';
import type { AskMemberships } from '../ports.ts';

const TIMEOUT_MS = 5000;

/** The auth service, as far as it is asked for memberships. */
export function membershipsOf(options: { baseUrl: string; token: () => Promise<string> }) {
  const client = createClient(
    { listMembershipChanges: auth.listMembershipChanges },
    { ...options, timeoutMs: TIMEOUT_MS, connections: 1 },
  );
  const ask: AskMemberships = ({ since, cursor }) =>
    client.listMembershipChanges({ query: { since: since?.toISOString(), cursor } });
  return { ask, close: () => client.close() };
}
