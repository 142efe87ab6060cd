import cors from 'cors';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { AppError } from './app-error.ts';
import { notAllowed, notMounted } from './server/allowed-methods.ts';
import { bodyOf } from './server/body.ts';
import { hardeningHeaders } from './server/hardening.ts';
import { pagesOf, visitOf } from './server/pages.ts';
import { isListed } from './server/request-line.ts';
import { refuseKeyInAddress } from './keys/credential.ts';
import { toAppError } from './problem.ts';
import { idsIn, requestContext } from './request-context.ts';
import { refusalOf } from './server/refusal.ts';
import { clientLeft, logFailure, outgoing, outgoingError, send } from './server/respond.ts';
import { type Route, StreamReply } from './route.ts';
import { admit } from './server/admit.ts';
import { contextOf, runRoute } from './server/run-route.ts';
import { corsOptions, isReadablePath, type ServiceOptions } from './server/service-options.ts';
import { beginRequest, watchRequest } from './server/watch-request.ts';
import { streamHeaders, writeStream } from './server/write-stream.ts';

/** An Express 5 application with everything every service has: ids, headers, health, documentation, routes, problem+json. */
export function createExpressApp(options: ServiceOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', options.trustProxyHops);
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.set('strict routing', true);
  const pages = pagesOf(options);
  const mounted = [...pages, ...options.routes.map(({ operation }) => operation)];
  app.use(
    withRequestIds(options),
    withHardening(options.production),
    cors(corsOptions(options.allowedOrigins)),
    (request, _response, next) => next(isListed(request.method) ? undefined : notAllowed(mounted, request.path)),
    requireReadablePath,
    requireKeylessAddress,
  );
  for (const page of pages) {
    app.get(page.path, async (request, response) => {
      response.locals['route'] = page.path;
      response.locals['isPage'] = true;
      const { status, headers, body } = await page.answer(visitOf(request.headers, request.ip, options));
      response.status(status).set(headers).send(body);
    });
  }
  for (const route of options.routes) mount(app, route, options);
  app.use((request) => {
    throw notMounted(mounted, request.path);
  });
  app.use(problems(options));
  return app;
}

function mount(app: Express, route: Route, options: ServiceOptions): void {
  const { operation } = route;
  const method = operation.method.toLowerCase() as 'get' | 'post' | 'put' | 'patch' | 'delete';
  app[method](operation.path, async (request, response) => {
    response.locals['route'] = operation.path;
    response.locals['operation'] = operation.id;
    const caller = await admit(route, options.authenticate, request);
    if (caller) requestContext.nameCaller(caller);
    const limits = await options.limit?.({ route, caller, ip: request.ip ?? '' });
    for (const [name, value] of Object.entries(limits ?? {})) response.setHeader(name, value);
    const left = clientLeft(response);
    const { method: name, headers, params, query } = request;
    const answer = await runRoute(
      route,
      { method: name, headers, params, query, body: await bodyOf(operation, request) },
      caller,
      contextOf(request, requestContext.get()?.requestId ?? '', left),
    );
    if (!(answer instanceof StreamReply)) return send(response, outgoing(answer));
    response.writeHead(answer.status ?? operation.status ?? 200, streamHeaders(response, answer));
    await writeStream(response, answer, left, options);
  });
}

function withHardening(production: boolean): RequestHandler {
  const headers = hardeningHeaders(production);
  return (_request, response, next) => {
    for (const [name, value] of headers) response.setHeader(name, value);
    next();
  };
}

/** Refused before routing, so that a path no router can decode is answered like any other fault. */
const requireReadablePath: RequestHandler = (request, _response, next) => {
  next(isReadablePath(request.path) ? undefined : new AppError('VALIDATION_FAILED', 'The path is not valid'));
};

const requireKeylessAddress: RequestHandler = (request, _response, next) => {
  refuseKeyInAddress(request.originalUrl);
  next();
};

const withRequestIds =
  (options: ServiceOptions): RequestHandler =>
  (request, response, next) => {
    const ids = beginRequest(options, idsIn(request.headers), request.method);
    response.setHeader('x-request-id', ids.requestId);
    watchRequest(options, response, ids, () => ({
      route: String(response.locals['route'] ?? 'other'),
      isPage: response.locals['isPage'] === true,
    }));
    requestContext.run(ids, next);
  };

const problems =
  ({ logger, refused }: ServiceOptions): ErrorRequestHandler =>
  (thrown, request, response, next) => {
    const error = toAppError(thrown);
    const operation = String(response.locals['operation'] ?? 'other');
    const refusal = refusalOf(error, { operation, ip: request.ip, userAgent: request.headers['user-agent'] });
    if (refusal) refused?.(refusal);
    logFailure(error, logger, clientLeft(response));
    if (response.headersSent) response.destroy();
    else send(response, outgoingError(error, 'problem'));
    void next;
  };
