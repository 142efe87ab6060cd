import { accounting } from '@tollgate/contracts';
import {
  type ItemOptions,
  type Origin,
  type ReadSubject,
  type RequestContext,
  type Route,
  runItems,
  serve,
  type ServiceCaller,
} from '@tollgate/http-kit';
import type { Call } from '../flows/hold-credits.ts';
import type { Flows } from '../flows.ts';
import { agentOf, answered } from './answers.ts';

/** An item whose account somebody else has locked keeps its neighbours waiting for no longer. */
const PATIENCE_MS = 250;
const same = <T>(value: T): T => value;

interface BatchDeps {
  readonly subjectOf: ReadSubject;
  readonly logger: ItemOptions['logger'];
  readonly tracer: ItemOptions['tracer'] | undefined;
  readonly refused: ItemOptions['refused'] | undefined;
}

interface Item {
  readonly idempotencyKey: string;
  readonly requestId?: string | undefined;
  readonly traceparent?: string | undefined;
}

/** Several holds in one call, for proxies with many answers: the flows of single holds, whose statements meet in the store. */
export const holdBatchRoutes = (
  flows: Pick<Flows, 'holdCredits' | 'settleHold' | 'voidHold'>,
  { subjectOf, logger, tracer, refused }: BatchDeps,
): Route[] => {
  const options: ItemOptions = { logger, ...(tracer && { tracer }), ...(refused && { refused }) };
  return [
    serve(accounting.holdCreditsBatch).with(async ({ body }, caller, context) => {
      const items = body.items.map((item) => ({ ...item, origin: originOf(item, context) }));
      const answers = await runItems(
        items,
        async (item) => {
          const agent = agentOf({ ...caller, onBehalfOf: await subjectOf(item.onBehalfOf) });
          return answered(201, await flows.holdCredits(agent, item.hold, callOf(item, context)), same);
        },
        runOf('holdCredits', caller, context),
        options,
      );
      return { answers };
    }),
    serve(accounting.closeHoldsBatch).with(async ({ body }, caller, context) => {
      const items = body.items.map((item) => ({ ...item, origin: originOf(item, context) }));
      const answers = await runItems(
        items,
        async (item) => {
          const agent = agentOf({ ...caller, onBehalfOf: { userId: item.userId } });
          const { kind: _kind, ...end } = item.end;
          const call = callOf(item, context);
          return answered(
            200,
            'outcome' in end
              ? await flows.settleHold(agent, item.holdId, end, call)
              : await flows.voidHold(agent, item.holdId, end, call),
            same,
          );
        },
        runOf('settleHold', caller, context),
        options,
      );
      return { answers };
    }),
  ];
};

/** An item without an id of its own is known by that of the batch. */
const originOf = ({ requestId, traceparent }: Item, context: RequestContext): Origin => ({
  requestId: requestId ?? context.requestId,
  ...(traceparent !== undefined && { traceparent }),
});

const callOf = (item: Item & { readonly origin: Origin }, { signal }: RequestContext): Call => ({
  key: item.idempotencyKey,
  requestId: item.origin.requestId,
  signal,
});

const runOf = (operation: string, caller: ServiceCaller, { ip, userAgent }: RequestContext) => ({
  operation,
  caller,
  ip,
  userAgent,
  patienceMs: PATIENCE_MS,
});
