import cors from 'cors';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { parseCookie } from 'cookie';
import helmet from 'helmet';
import { AppError } from './app-error.ts';
import { allowedMethods } from './allowed-methods.ts';
import { isJson } from './media-type.ts';
import { pagesOf } from './pages.ts';
import { toAppError } from './problem.ts';
import { requestContext, requestIdFrom } from './request-context.ts';
import { outgoing, outgoingError, send } from './respond.ts';
import { type Route, StreamReply } from './route.ts';
import { admit, runRoute } from './run-route.ts';
import { corsOptions, securityHeaders, type ServiceOptions } from './service-options.ts';
import { writeStream } from './write-stream.ts';

const BODY_LIMIT = 65_536;

/** An Express 5 application with everything every service has: ids, headers, health, documentation, routes, problem+json. */
export function createExpressApp(options: ServiceOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', options.trustProxyHops);
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.use(
    withRequestIds,
    observeWith(options),
    helmet(securityHeaders(options.production)),
    cors(corsOptions(options.allowedOrigins)),
  );
  for (const page of pagesOf(options)) {
    app.get(page.path, async (request, response) => {
      const answer = await page.answer({
        remoteAddress: request.socket.remoteAddress ?? '',
        authorization: request.headers.authorization,
      });
      response.status(answer.status).type(answer.type).send(answer.body);
    });
  }
  for (const route of options.routes) mount(app, route, options);
  app.use((request) => {
    const methods = allowedMethods(options.routes, request.path);
    throw methods.length > 0
      ? new AppError('METHOD_NOT_ALLOWED', undefined, { headers: { allow: methods.join(', ') } })
      : new AppError('NOT_FOUND');
  });
  app.use(problems(options));
  return app;
}

function mount(app: Express, route: Route, options: ServiceOptions): void {
  const { operation } = route;
  const method = operation.method.toLowerCase() as 'get' | 'post' | 'put' | 'patch' | 'delete';
  const parseBody = operation.body ? jsonBody(operation.bodyLimit ?? BODY_LIMIT) : undefined;
  app[method](operation.path, async (request, response) => {
    response.locals['route'] = operation.path;
    const caller = await admit(route, options.authenticate, request);
    const ids = requestContext.get();
    if (ids && caller?.kind === 'user') ids.userId = caller.userId;
    const limits = await options.limit?.({ route, caller, ip: request.ip ?? '' });
    for (const [name, value] of Object.entries(limits ?? {})) response.setHeader(name, value);
    if (parseBody) await parseBody(request, response);
    const left = clientLeft(response);
    const answer = await runRoute(
      route,
      {
        method: request.method,
        headers: request.headers,
        params: request.params,
        query: request.query,
        body: request.body as unknown,
      },
      caller,
      {
        requestId: ids?.requestId ?? '',
        signal: left,
        ip: request.ip ?? '',
        userAgent: request.headers['user-agent']?.slice(0, 512) ?? '',
        cookies: parseCookie(request.headers.cookie ?? '') as Record<string, string>,
        headers: request.headers as Record<string, string>,
      },
    );
    if (!(answer instanceof StreamReply)) return send(response, outgoing(answer));
    response.writeHead(200, { 'content-type': answer.contentType, 'cache-control': 'no-cache', ...answer.headers });
    await writeStream(response, answer, left);
  });
}

/** The body is read only after the caller was admitted. An empty body is `undefined`; the contract decides whether it may be. */
function jsonBody(limit: number): (request: Request, response: Response) => Promise<void> {
  const parse = express.json({ limit, strict: false, type: () => true });
  return async (request, response) => {
    const empty =
      request.headers['transfer-encoding'] === undefined && Number(request.headers['content-length'] ?? 0) === 0;
    if (empty) return;
    if (!isJson(request.headers['content-type'])) throw new AppError('UNSUPPORTED_MEDIA_TYPE');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    parse(request, response, (error?: unknown) => (error === undefined ? resolve() : reject(error as Error)));
    await promise;
  };
}

function clientLeft(response: Response): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

const withRequestIds: RequestHandler = (request, response, next) => {
  const requestId = requestIdFrom(request.headers['x-request-id']);
  response.setHeader('x-request-id', requestId);
  requestContext.run({ requestId }, next);
};

const observeWith =
  ({ observe }: ServiceOptions): RequestHandler =>
  (request, response, next) => {
    const start = performance.now();
    response.once('close', () => {
      const route: unknown = response.locals['route'];
      observe?.({
        method: request.method,
        route: typeof route === 'string' ? route : 'other',
        status: response.statusCode,
        seconds: (performance.now() - start) / 1000,
      });
    });
    next();
  };

const problems =
  ({ logger }: ServiceOptions): ErrorRequestHandler =>
  (thrown, _request, response, next) => {
    const problem = outgoingError(toAppError(thrown), logger);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    send(response, problem);
    void next;
  };
