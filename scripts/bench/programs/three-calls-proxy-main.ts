// The proxy of the service document's flow, for comparison alone: look at the token, ask for the balance, hand the answer on, deduct,
// log. Lean where it hands on bytes, so that what is compared is the accounting.
import fastify, { type FastifyReply } from 'fastify';
import { jwtVerify } from 'jose';
import { Agent } from 'undici';
import { announce } from './announce.ts';

const upstream = process.env['UPSTREAM_URL'] ?? '';
const accounting = process.env['ACCOUNTING_URL'] ?? '';
const secret = new TextEncoder().encode(process.env['TOKEN_SECRET'] ?? '');
const CREDITS = 1;
const agent = new Agent({ connections: 1000 });
const app = fastify({ logger: false });
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

async function tell(path: string, authorization: string, fields: object): Promise<Record<string, unknown>> {
  const { statusCode, body } = await agent.request({
    origin: accounting,
    path,
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(fields),
  });
  if (statusCode >= 300) throw new Error(`accounting answered ${statusCode}`);
  return (await body.json()) as Record<string, unknown>;
}

async function handOn(path: string, body: Buffer, { raw }: FastifyReply): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const answer = await agent.request({ origin: upstream, path, method: 'POST', headers, body });
  raw.writeHead(answer.statusCode, { 'content-type': String(answer.headers['content-type']) });
  for await (const chunk of answer.body) raw.write(chunk);
}

app.post('/*', async (request, reply) => {
  const authorization = request.headers.authorization ?? '';
  await jwtVerify(authorization.slice('Bearer '.length), secret);
  const { sufficient } = await tell('/api/credits/check', authorization, { credits: CREDITS });
  if (sufficient !== true) return reply.code(402).send({ error: 'insufficient credits' });
  reply.hijack();
  await handOn(request.url, request.body as Buffer, reply);
  await tell('/api/credits/deduct', authorization, { credits: CREDITS });
  await tell('/api/usage/record', authorization, { credits: CREDITS, metadata: { path: request.url } });
  reply.raw.end();
  return reply;
});
await app.listen({ port: 0, host: '127.0.0.1' });
announce(app.server);
