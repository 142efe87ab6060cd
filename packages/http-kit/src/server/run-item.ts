import { type Origin, requestContext } from '../request-context.ts';
import type { AppError } from '../app-error.ts';
import type { Caller } from '../caller.ts';
import { toAppError, toProblem } from '../problem.ts';
import type { Reply } from '../route.ts';
import { asPartOf } from '../tracing/in-span.ts';
import { traceParentIn } from '../tracing/trace-parent.ts';
import { refusalOf } from './refusal.ts';
import { logFailure } from './respond.ts';
import type { ServiceOptions } from './service-options.ts';

/** What an item of a batch is answered with. 202 without a body: not known in time. */
export interface ItemAnswer<Body> {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: Body | { readonly code: string; readonly [field: string]: unknown };
}

export interface ItemsRun {
  readonly caller: Caller;
  /** The id of the operation that the item would have been alone. */
  readonly operation: string;
  readonly ip: string;
  readonly userAgent: string;
  /** Milliseconds that the first answer waits for the others at most. */
  readonly patienceMs: number;
}

export type ItemOptions = Pick<ServiceOptions, 'logger' | 'tracer' | 'refused'>;

/**
 * The items of a batch side by side, each under the id of its own request and with an answer of its own: what one of them meets
 * is nothing to its neighbours. Never throws.
 */
export async function runItems<Item extends { readonly origin: Origin }, Body>(
  items: readonly Item[],
  work: (item: Item) => Promise<Reply<Body>>,
  run: ItemsRun,
  options: ItemOptions,
): Promise<ItemAnswer<Body>[]> {
  const late = Promise.withResolvers<ItemAnswer<Body>>();
  let timer: NodeJS.Timeout | undefined;
  // Not before there is an answer: a service that is slow with all of them is not asked for all of them again.
  const begin = (): void => {
    timer ??= setTimeout(() => late.resolve({ status: 202 }), run.patienceMs);
  };
  const answers = items.map(async (item) => {
    const answer = await runItem(item, work, run, options);
    begin();
    return answer;
  });
  try {
    return await Promise.all(answers.map((answer) => Promise.race([answer, late.promise])));
  } finally {
    clearTimeout(timer);
  }
}

function runItem<Item extends { readonly origin: Origin }, Body>(
  item: Item,
  work: (item: Item) => Promise<Reply<Body>>,
  run: ItemsRun,
  options: ItemOptions,
): Promise<ItemAnswer<Body>> {
  const { requestId } = item.origin;
  const traceparent = traceParentIn(item.origin.traceparent)?.text;
  const origin = { requestId, ...(traceparent !== undefined && { traceparent }) };
  return asPartOf(origin, { name: run.operation, tracer: options.tracer }, async () => {
    requestContext.nameCaller(run.caller);
    try {
      const { status, headers, body } = await work(item);
      return { status, headers: { ...headers }, body };
    } catch (thrown) {
      return refused(toAppError(thrown), run, options);
    }
  });
}

function refused<Body>(error: AppError, run: ItemsRun, options: ItemOptions): ItemAnswer<Body> {
  const refusal = refusalOf(error, run);
  if (refusal) options.refused?.(refusal);
  logFailure(error, options.logger);
  return { status: error.status, headers: { ...error.headers }, body: { ...toProblem(error) } };
}
