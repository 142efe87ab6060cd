import { auth } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';

/** What the other services of the platform ask. */
export const internalRoutes = (flows: Flows): Route[] => [
  serve(auth.readRevocations).with(({ query }) => flows.readRevocations(query.since, query.cursor)),
];
