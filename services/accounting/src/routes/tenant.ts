import { accounting } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';

export const tenantRoutes = (flows: Flows): Route[] => [
  serve(accounting.readTenant).with(() => flows.readTenant()),
  serve(accounting.changeTenant).with(({ body }, caller, { requestId }) =>
    flows.changeTenant(caller, { ...body, requestId }),
  ),
];
