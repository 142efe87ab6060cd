import fastifyCors from '@fastify/cors';
import fastifyHelmet from '@fastify/helmet';
import { parseCookie } from 'cookie';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { AppError } from './app-error.ts';
import { allowedMethods } from './allowed-methods.ts';
import type { Caller } from './caller.ts';
import { isJson } from './media-type.ts';
import { pagesOf } from './pages.ts';
import { toAppError } from './problem.ts';
import { type RequestIds, requestContext, requestIdFrom } from './request-context.ts';
import { outgoing, outgoingError } from './respond.ts';
import { type Route, StreamReply } from './route.ts';
import { admit, runRoute } from './run-route.ts';
import { corsOptions, securityHeaders, type ServiceOptions } from './service-options.ts';
import { writeStream } from './write-stream.ts';

const BODY_LIMIT = 65_536;

interface Seen {
  ids: RequestIds;
  caller: Caller | undefined;
}
const seenOf = new WeakMap<FastifyRequest, Seen>();

/** A Fastify 5 application with everything every service has: ids, headers, health, documentation, routes, problem+json. */
export async function createFastifyApp(options: ServiceOptions): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    trustProxy: (_address: string, hop: number) => hop < options.trustProxyHops,
    bodyLimit: BODY_LIMIT,
    genReqId: (request) => requestIdFrom(request.headers['x-request-id']),
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, maxParamLength: 512 },
    disableRequestLogging: true,
    forceCloseConnections: 'idle',
  });
  app.addHook('onRequest', (request, reply, done) => {
    const ids: RequestIds = { requestId: request.id };
    seenOf.set(request, { ids, caller: undefined });
    reply.header('x-request-id', request.id);
    requestContext.run(ids, done);
  });
  if (options.observe) observe(app, options.observe);
  await app.register(fastifyHelmet, securityHeaders(options.production));
  await app.register(fastifyCors, corsOptions(options.allowedOrigins));
  acceptJsonOnly(app);
  for (const page of pagesOf(options)) {
    app.get(page.path, async (request, reply) => {
      const answer = await page.answer({
        remoteAddress: request.socket.remoteAddress ?? '',
        authorization: request.headers.authorization,
      });
      return reply.code(answer.status).type(answer.type).send(answer.body);
    });
  }
  for (const route of options.routes) mount(app, route, options);
  app.setNotFoundHandler(async (request, reply) => {
    const methods = allowedMethods(options.routes, request.url.split('?')[0] ?? '');
    const error =
      methods.length > 0
        ? new AppError('METHOD_NOT_ALLOWED', undefined, { headers: { allow: methods.join(', ') } })
        : new AppError('NOT_FOUND');
    return sendError(reply, error, options);
  });
  app.setErrorHandler(async (thrown, _request, reply) => sendError(reply, toAppError(thrown), options));
  return app;
}

function mount(app: FastifyInstance, route: Route, options: ServiceOptions): void {
  const { operation } = route;
  app.route({
    method: operation.method,
    url: operation.path,
    bodyLimit: operation.bodyLimit ?? BODY_LIMIT,
    // Before the body is read.
    onRequest: async (request, reply) => {
      const caller = await admit(route, options.authenticate, request);
      const seen = seenOf.get(request);
      if (seen) {
        seen.caller = caller;
        if (caller?.kind === 'user') seen.ids.userId = caller.userId;
      }
      reply.headers((await options.limit?.({ route, caller, ip: request.ip })) ?? {});
    },
    handler: async (request, reply) => answer(route, request, reply),
  });
}

async function answer(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const seen = seenOf.get(request);
  const left = clientLeft(reply);
  const result = await runRoute(
    route,
    {
      method: request.method,
      headers: request.headers,
      params: request.params,
      query: request.query,
      body: request.body,
    },
    seen?.caller,
    {
      requestId: request.id,
      signal: left,
      ip: request.ip,
      userAgent: request.headers['user-agent']?.slice(0, 512) ?? '',
      cookies: parseCookie(request.headers.cookie ?? '') as Record<string, string>,
      headers: request.headers as Record<string, string>,
    },
  );
  if (!(result instanceof StreamReply)) {
    const { status, headers, body } = outgoing(result);
    return reply.code(status).headers(headers).send(body);
  }
  reply.hijack();
  reply.raw.writeHead(200, {
    ...definedHeaders(reply),
    'content-type': result.contentType,
    'cache-control': 'no-cache',
    ...result.headers,
  });
  await writeStream(reply.raw, result, left);
  return reply;
}

const definedHeaders = (reply: FastifyReply): Record<string, string | number | string[]> =>
  Object.fromEntries(
    Object.entries(reply.getHeaders()).filter(
      (pair): pair is [string, string | number | string[]] => pair[1] !== undefined,
    ),
  );

function clientLeft(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

async function sendError(reply: FastifyReply, error: AppError, { logger }: ServiceOptions): Promise<FastifyReply> {
  const { status, headers, body } = outgoingError(error, logger);
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return reply;
  }
  return reply.code(status).headers(headers).send(body);
}

/** Nothing but JSON is parsed; `__proto__` and `constructor.prototype` keys are refused as malformed. */
function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    const text = String(body);
    if (text === '') return done(null, undefined);
    if (!isJson(request.headers['content-type'])) return done(new AppError('UNSUPPORTED_MEDIA_TYPE'));
    return parse(request, text, done);
  });
}

function observe(app: FastifyInstance, report: NonNullable<ServiceOptions['observe']>): void {
  app.addHook('onRequest', (request, reply, done) => {
    const start = performance.now();
    reply.raw.once('close', () =>
      report({
        method: request.method,
        route: request.routeOptions.url ?? 'other',
        status: reply.raw.statusCode,
        seconds: (performance.now() - start) / 1000,
      }),
    );
    done();
  });
}
