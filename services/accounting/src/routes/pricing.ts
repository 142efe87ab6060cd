import { accounting } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';

export const pricingRoutes = (flows: Flows): Route[] => [
  serve(accounting.listPrices).with(async () => ({ rules: await flows.listPrices() })),
  serve(accounting.createPrice).with(({ body }, caller) => flows.setPrice(caller, body)),
];
