// The floor: Fastify and undici hand bytes on, without looking at a token or a credit. UPSTREAM_URL says to whom.
import fastify from 'fastify';
import { Agent, type Dispatcher } from 'undici';
import { announce } from './announce.ts';

const CONNECTIONS = 20_000;
const upstream = process.env['UPSTREAM_URL'] ?? '';
const agent = new Agent({ connections: CONNECTIONS, headersTimeout: 0, bodyTimeout: 0 });
const app = fastify({ logger: false, bodyLimit: 1_048_576 });
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

app.post('/*', (request, reply) => {
  reply.hijack();
  const { raw } = reply;
  const headers = { 'content-type': 'application/json', accept: request.headers.accept ?? '*/*' };
  let running: Dispatcher.DispatchController | undefined;
  raw.on('close', () => {
    if (!raw.writableFinished) running?.abort(new Error('the client has gone'));
  });
  agent.dispatch(
    { origin: upstream, path: request.url, method: 'POST', headers, body: request.body as Buffer },
    {
      onRequestStart(controller) {
        running = controller;
      },
      onResponseStart(_controller, status, answered) {
        raw.writeHead(status, { 'content-type': String(answered['content-type'] ?? 'application/octet-stream') });
      },
      onResponseData(controller, chunk) {
        if (raw.write(chunk)) return;
        controller.pause();
        raw.once('drain', () => controller.resume());
      },
      onResponseEnd: () => void raw.end(),
      onResponseError: () => void raw.destroy(),
    },
  );
});
await app.listen({ port: 0, host: '127.0.0.1', backlog: 16_384 });
announce(app.server);
