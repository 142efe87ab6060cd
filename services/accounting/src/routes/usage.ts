import { accounting } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import type { Period } from '../ports.ts';
import { agentOf, answered, oneTime } from './answers.ts';

export const usageRoutes = (flows: Flows): Route[] => [
  serve(accounting.recordUsage).with(async ({ body }, caller, context) => {
    const agent = agentOf(caller);
    const request = oneTime(`service:${agent.service}:${agent.userId}`, accounting.recordUsage, context, body);
    return answered(201, await flows.recordUsage(agent, request, body), (usage) => usage);
  }),
  serve(accounting.readOwnUsage).with(({ query }, { userId }) => flows.usageReport(periodOf(query), userId)),
  serve(accounting.readUsageOfUser).with(({ params, query }) => flows.usageReport(periodOf(query), params.userId)),
  serve(accounting.readSystemUsage).with(({ query }) => flows.usageReport(periodOf(query))),
];

const DAY_MS = 86_400_000;
const IS_DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Calendar days count whole, in UTC; instants as they are. */
const periodOf = ({
  startDate,
  endDate,
}: {
  startDate?: string | undefined;
  endDate?: string | undefined;
}): Period => ({
  from: startDate === undefined ? undefined : new Date(startDate),
  until: endDate === undefined ? undefined : new Date(Date.parse(endDate) + (IS_DAY.test(endDate) ? DAY_MS : 0)),
});
