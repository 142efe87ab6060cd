import { accounting } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import { agentOf, answered, oneTime } from './answers.ts';
import { periodOf } from './period.ts';

export const usageRoutes = (flows: Flows): Route[] => [
  serve(accounting.recordUsage).with(async ({ body }, caller, context) => {
    const agent = agentOf(caller);
    const request = oneTime(`service:${agent.service}:${agent.userId}`, accounting.recordUsage, context, body);
    return answered(201, await flows.recordUsage(agent, request, body), (usage) => usage);
  }),
  serve(accounting.readOwnUsage).with(({ query }, { userId }) => flows.usageReport(periodOf(query), userId)),
  serve(accounting.readUsageOfUser).with(({ params, query }, caller) =>
    flows.usageReportOf(caller, periodOf(query), params.userId),
  ),
  serve(accounting.readSystemUsage).with(({ query }) => flows.usageReport(periodOf(query))),
];
