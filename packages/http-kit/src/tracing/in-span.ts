import { wireCode } from '@tollgate/contracts';
import { AppError } from '../app-error.ts';
import { type Origin, requestContext } from '../request-context.ts';
import type { Span, SpanFields, Tracer } from './span.ts';

type Step = readonly [name: string, kind: 'client' | 'internal', fields?: SpanFields];

/** Does the work as a step of the trace under way, which the calls it makes belong to. Without a trace it is only the work. */
export function inSpan<T>([name, kind, fields]: Step, work: (span?: Span) => Promise<T>): Promise<T> {
  const ids = requestContext.get();
  if (!ids?.span) return work();
  const span = ids.span.child(name, kind, fields);
  return ended(span, () => requestContext.run({ ...ids, span }, () => work(span)));
}

/**
 * Does the rest of a request whose own context is over: under its id, and as a part of its trace. Within that request it is
 * only the work.
 */
export function asPartOf<T>(
  origin: Origin | undefined,
  { name, tracer }: { name: string; tracer?: Tracer | undefined },
  work: () => Promise<T>,
): Promise<T> {
  if (!origin || requestContext.get()?.requestId === origin.requestId) return work();
  const { requestId, traceparent } = origin;
  const span = tracer?.begin(name, 'internal', traceparent, { 'tollgate.request_id': requestId });
  const ids = { requestId, ...(span ? { span } : { traceparent }) };
  return ended(span, () => requestContext.run(ids, work));
}

async function ended<T>(span: Span | undefined, work: () => Promise<T>): Promise<T> {
  let fault: string | undefined;
  try {
    return await work();
  } catch (error) {
    fault = faultNameOf(error);
    throw error;
  } finally {
    span?.end(fault);
  }
}

/** What may be said of an error where its text must not go: its code, or the name of its class. */
export const faultNameOf = (error: unknown): string => {
  if (error instanceof AppError) return wireCode(error.code);
  return error instanceof Error && /^\w{1,60}$/.test(error.name) ? error.name : 'Error';
};
