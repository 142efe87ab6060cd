import type { IncomingMessage } from 'node:http';
import fastifyCors, { type FastifyCorsOptions } from '@fastify/cors';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { ErrorDialect } from '@tollgate/contracts';
import { AppError } from './app-error.ts';
import { notAllowed, notMounted } from './server/allowed-methods.ts';
import type { Caller } from './caller.ts';
import { dialectOfPath } from './server/dialects.ts';
import { hardeningHeaders } from './server/hardening.ts';
import { createHttpServer } from './server/http-server.ts';
import { bodyOf } from './server/body.ts';
import { pagesOf, visitOf } from './server/pages.ts';
import { isListed } from './server/request-line.ts';
import { refuseKeyInAddress } from './keys/credential.ts';
import { toAppError } from './problem.ts';
import { idsIn, requestContext } from './request-context.ts';
import { refusalOf } from './server/refusal.ts';
import { clientLeft, logFailure, outgoing, outgoingError } from './server/respond.ts';
import type { OwnScope } from './server/socket-route.ts';
import { type Route, StreamReply } from './route.ts';
import { admit } from './server/admit.ts';
import { contextOf, runRoute } from './server/run-route.ts';
import { corsOptions, isReadablePath, type ServiceOptions } from './server/service-options.ts';
import { beginRequest, watchRequest } from './server/watch-request.ts';
import { traceParentIn } from './tracing/trace-parent.ts';
import { streamHeaders, writeStream } from './server/write-stream.ts';

interface Seen {
  caller: Caller | undefined;
  /** Its id, once the route is known. */
  operation: string;
  dialect?: ErrorDialect;
}
const seenOf = new WeakMap<FastifyRequest, Seen>();

/** A Fastify 5 application with everything every service has: ids, headers, health, documentation, routes, problem+json. */
export async function createFastifyApp(
  options: ServiceOptions,
  /** A path with hooks of its own. */
  own?: OwnScope,
): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    trustProxy: (_address: string, hop: number) => hop < options.trustProxyHops,
    genReqId: ({ headers }) => idsIn(headers).requestId,
    // The length of a parameter is the contract's affair, as in Express; Node bounds the whole request line.
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, maxParamLength: 16_384 },
    rewriteUrl: routablePath,
    serverFactory: (handle) => createHttpServer(handle, options),
    // The server answers these by itself.
    clientErrorHandler: () => undefined,
    forceCloseConnections: 'idle',
  });
  const pages = pagesOf(options);
  const hardened = Object.fromEntries(hardeningHeaders(options.production));
  const pagePaths = new Set<string | undefined>(pages.map(({ path }) => path));
  app.addHook('onRequest', (request, reply, done) => {
    const traceparent = traceParentIn(request.headers['traceparent'])?.text;
    const ids = beginRequest(options, { requestId: request.id, traceparent }, request.method);
    seenOf.set(request, { caller: undefined, operation: 'other' });
    reply.headers(hardened).header('x-request-id', request.id);
    // HTTP's own limits of time are off by now, and the plugin looks only after what its own hooks have seen.
    if (own?.isUpgrade(request.raw)) reply.raw.once('finish', () => request.socket.destroySoon());
    watchRequest(options, reply.raw, ids, routeOf(request.routeOptions.url, pagePaths));
    requestContext.run(ids, done);
  });
  await app.register(fastifyCors, corsOf(options));
  const mounted = [...pages, ...options.routes.map(({ operation }) => operation)];
  app.addHook('onRequest', async ({ raw }) => {
    if (!isListed(raw.method)) throw notAllowed(mounted, raw.url ?? '');
    if (unreadable.has(raw)) throw new AppError('VALIDATION_FAILED', 'The path is not valid');
    refuseKeyInAddress(raw.url ?? '');
  });
  leaveBodiesUnread(app);
  for (const page of pages) {
    app.get(page.path, async (request, reply) => {
      const { status, headers, body } = await page.answer(visitOf(request.headers, request.ip, options));
      return reply.code(status).headers(headers).send(body);
    });
  }
  app.setNotFoundHandler(async (request, reply) => sendError(reply, notMounted(mounted, request.url), options));
  app.setErrorHandler(async (thrown, request, reply) => {
    const error = toAppError(thrown);
    const operation = seenOf.get(request)?.operation ?? 'other';
    const refusal = refusalOf(error, { operation, ip: request.ip, userAgent: request.headers['user-agent'] });
    if (refusal) options.refused?.(refusal);
    return sendError(reply, error, options);
  });
  await mountAll(app, options, own);
  return app;
}

async function mountAll(app: FastifyInstance, options: ServiceOptions, own: OwnScope | undefined): Promise<void> {
  const isOwn = ({ operation }: Route): boolean => operation.path === own?.path;
  for (const route of options.routes) if (!isOwn(route)) mount(app, route, options);
  await app.register(async (scope) => {
    await own?.prepare(scope);
    for (const route of options.routes) if (isOwn(route)) mount(scope, route, options);
  });
}

/** Apart from the request: what is known here is kept for as long as the answer takes. */
const routeOf = (url: string | undefined, pages: ReadonlySet<string | undefined>) => {
  const route = { route: url ?? 'other', isPage: pages.has(url) };
  return () => route;
};

/** The configured origins, and those that the service allows for a single path. */
function corsOf({ allowedOrigins, isOriginAllowed }: ServiceOptions): FastifyCorsOptions {
  const listed = corsOptions(allowedOrigins);
  if (!isOriginAllowed) return listed;
  const delegator = async ({ headers: { origin }, raw }: FastifyRequest): Promise<FastifyCorsOptions> => {
    if (origin === undefined || origin === 'null' || allowedOrigins.includes(origin)) return listed;
    const path = (raw.url ?? '').split('?')[0] ?? '';
    return (await isOriginAllowed(origin, path)) ? { ...listed, origin: [origin], credentials: false } : listed;
  };
  return { delegator } as FastifyCorsOptions; // its types know of delegators with a callback only
}

function mount(app: FastifyInstance, route: Route, options: ServiceOptions): void {
  const { operation } = route;
  app.route({
    method: operation.method,
    url: operation.path,
    // Before the body is read.
    onRequest: async (request, reply) => {
      // Fastify lets a parameter be empty; `/things/` is not `/things/:id`.
      if (Object.values(Object(request.params)).includes('')) throw new AppError('NOT_FOUND');
      const seen = seenOf.get(request);
      if (seen) Object.assign(seen, { operation: operation.id, dialect: operation.dialect ?? 'problem' });
      const caller = await admit(route, options.authenticate, request);
      if (caller) requestContext.nameCaller(caller);
      if (seen) seen.caller = caller;
      reply.headers((await options.limit?.({ route, caller, ip: request.ip })) ?? {});
    },
    handler: async (request, reply) => answer(route, request, reply, options),
  });
}

async function answer(
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ServiceOptions,
): Promise<FastifyReply> {
  const left = clientLeft(reply.raw);
  const { method, headers, params, query } = request;
  const result = await runRoute(
    route,
    { method, headers, params, query, body: await bodyOf(route.operation, request.raw) },
    seenOf.get(request)?.caller,
    contextOf(request, request.id, left),
  );
  if (!(result instanceof StreamReply)) {
    const sent = outgoing(result);
    return reply.code(sent.status).headers(sent.headers).send(sent.body);
  }
  reply.hijack();
  reply.raw.writeHead(result.status ?? route.operation.status ?? 200, {
    ...definedHeaders(reply),
    ...streamHeaders(reply.raw, result),
  });
  // Not waited for, and it never throws: whoever waited would keep what the request was for as long as its answer takes.
  void writeStream(reply.raw, result, left, options);
  request.raw.rawHeaders.length = 0;
  return reply;
}

const definedHeaders = (reply: FastifyReply): Record<string, string | number | string[]> =>
  Object.fromEntries(
    Object.entries(reply.getHeaders()).filter(
      (pair): pair is [string, string | number | string[]] => pair[1] !== undefined,
    ),
  );

async function sendError(reply: FastifyReply, error: AppError, { logger }: ServiceOptions): Promise<FastifyReply> {
  logFailure(error, logger, clientLeft(reply.raw));
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return reply;
  }
  const { raw } = reply.request;
  const dialect = seenOf.get(reply.request)?.dialect ?? dialectOfPath(raw.url ?? '');
  const { status, headers, body } = outgoingError(error, dialect, raw.headers.accept);
  return reply.code(status).headers(headers).send(body);
}

/** Fastify's router answers a path that it cannot decode by itself, without headers: it is given a path it can. */
function routablePath(request: IncomingMessage): string {
  const url = request.url ?? '/';
  if (isReadablePath(url.split('?')[0] ?? '')) return url;
  unreadable.add(request);
  return '/';
}
const unreadable = new WeakSet<IncomingMessage>();

const WITH_BODY = ['POST', 'PUT', 'PATCH', 'DELETE'];

/** The handler reads the body, by the same function as in Express: to Fastify there is none, and nothing to be parsed. */
function leaveBodiesUnread(app: FastifyInstance): void {
  for (const method of WITH_BODY) app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
}
