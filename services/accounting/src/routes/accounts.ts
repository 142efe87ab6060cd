import { accounting } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';

export const accountRoutes = (flows: Flows): Route[] => [
  serve(accounting.createAccount).with(async ({ body }) => {
    const { id, email, username, role, createdAt, updatedAt } = await flows.createAccount(body);
    return {
      userId: id,
      sub: id,
      email: email ?? '',
      username: username ?? '',
      role,
      createdAt: createdAt.toISOString(),
      updatedAt: updatedAt.toISOString(),
    };
  }),
];
