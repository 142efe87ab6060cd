import { accounting } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';

export const pricingRoutes = (flows: Flows): Route[] => [
  serve(accounting.listPrices).with(async ({ query: { cursor, ...filter } }) => {
    const rules = await flows.listPrices({ ...filter, after: cursor });
    return { rules, nextCursor: rules.length < filter.limit ? null : (rules.at(-1)?.ruleId ?? null) };
  }),
  serve(accounting.createPrice).with(({ body }, caller) => flows.setPrice(caller, body)),
  serve(accounting.readPriceGroup).with(({ params }) => flows.readPriceGroup(params.userId)),
  serve(accounting.setPriceGroup).with(({ params, body }, caller) =>
    flows.setPriceGroup(caller, params.userId, body.group),
  ),
];
