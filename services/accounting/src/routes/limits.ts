import { accounting } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import { nextCursor, pageOf } from './answers.ts';

export const limitRoutes = (flows: Flows): Route[] => [
  serve(accounting.createLimit).with(({ body }, caller) => flows.createLimit(caller, body)),
  serve(accounting.listLimits).with(async ({ query }) => {
    const { limits, next } = await flows.listLimits({ ...pageOf(query), scope: query.scope });
    return { limits, nextCursor: next === undefined ? null : String(next) };
  }),
  serve(accounting.changeLimit).with(({ params, body }, caller) =>
    flows.changeLimit(caller, params.limitId, body.amount),
  ),
  serve(accounting.endLimit).with(({ params }, caller) => flows.endLimit(caller, params.limitId)),
  serve(accounting.readOwnLimits).with(async ({ query }, caller) => ({
    limits: await flows.readOwnLimits(caller, query.modelId),
  })),
  serve(accounting.setKeyLimits).with(async ({ params: { keyId }, body }, { service }) => {
    await flows.setKeyLimits(service, keyId, body);
    return { keyId, ...body };
  }),
  serve(accounting.readBilling).with(({ params }) => flows.readBilling(params.workspaceId)),
  serve(accounting.setBilling).with(({ params, body }, caller) =>
    flows.setBilling(caller, params.workspaceId, body.billing),
  ),
  serve(accounting.blockSubject).with(({ params, body }, caller) => flows.block(caller, params, body.reason)),
  serve(accounting.unblockSubject).with(({ params }, caller) => flows.unblock(caller, params)),
  serve(accounting.listBlocks).with(async ({ query }) => {
    const blocks = await flows.listBlocks(pageOf(query));
    return {
      blocks: blocks.map(({ number: _, ...block }) => block),
      nextCursor: nextCursor(
        blocks.map(({ number }) => number),
        query.limit,
      ),
    };
  }),
];
