import type { ServerResponse } from 'node:http';
import { type RequestIds, requestContext } from '../request-context.ts';
import { observedStatus } from './respond.ts';
import type { ServiceOptions } from './service-options.ts';

/** Whoever answers it, a request is known by these from its first line on. */
export function beginRequest(
  { tracer }: Pick<ServiceOptions, 'tracer'>,
  { requestId, traceparent }: RequestIds,
  method: string,
): RequestIds {
  const span = tracer?.begin(method, 'server', traceparent, {
    'http.request.method': method,
    'tollgate.request_id': requestId,
  });
  return { requestId, ...(span ? { span } : { traceparent }) };
}

const MILLISECONDS = 1000;

/** Tells of a request when its answer is over: a measurement, a line of the log and the end of its span. */
export function watchRequest(
  { observe, logger }: Pick<ServiceOptions, 'observe' | 'logger'>,
  response: ServerResponse,
  ids: RequestIds,
  /** The template of the path; asked for at the end. */
  routeOf: () => { readonly route: string; readonly isPage: boolean },
): void {
  const began = performance.now();
  const { method = '' } = response.req;
  // Comes once by itself; to say so would leave three more objects beside every answer.
  response.on('close', () => {
    const { route, isPage } = routeOf();
    const status = observedStatus(response);
    const seconds = (performance.now() - began) / MILLISECONDS;
    const { failure, service, span } = ids;
    observe?.({ method, route, status, seconds, ...(failure !== undefined && { failure }) });
    span?.rename(`${method} ${route}`);
    span?.note({ 'http.route': route, 'http.response.status_code': status });
    span?.end(status >= 500 ? (failure ?? 'error') : undefined);
    // What services ask each other all day is worth no line while it goes well.
    const isQuiet = isPage || (service !== undefined && method === 'GET' && status < 400);
    requestContext.run(ids, () =>
      logger[isQuiet ? 'debug' : 'info']('answered', {
        method,
        route,
        status,
        ms: Math.round(seconds * MILLISECONDS),
        ...(failure !== undefined && { code: failure }),
        ...(service !== undefined && { caller: service }),
      }),
    );
  });
}
