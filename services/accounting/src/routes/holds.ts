import { accounting } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import { agentOf, answered, callOf } from './answers.ts';

const same = <T>(value: T): T => value;

export const holdRoutes = (flows: Flows): Route[] => [
  serve(accounting.holdCredits).with(async ({ body }, caller, context) =>
    answered(201, await flows.holdCredits(agentOf(caller), body, callOf(context)), same),
  ),
  serve(accounting.renewHolds).with(({ body }, { service }) => flows.renewHolds(service, body)),
  serve(accounting.readHold).with(({ params }, caller) => flows.readHold(agentOf(caller), params.holdId)),
  serve(accounting.extendHold).with(({ params, body }, caller, { requestId }) =>
    flows.extendHold(agentOf(caller), { ...params, ...body, requestId }),
  ),
  serve(accounting.renewHold).with(({ params, body }, caller) =>
    flows.renewHold(agentOf(caller), { ...params, ...body }),
  ),
  serve(accounting.settleHold).with(async ({ params, body }, caller, context) =>
    answered(200, await flows.settleHold(agentOf(caller), params.holdId, body, callOf(context)), same),
  ),
  serve(accounting.voidHold).with(async ({ params, body }, caller, context) =>
    answered(200, await flows.voidHold(agentOf(caller), params.holdId, body, callOf(context)), same),
  ),
];
