import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createClient, type ClientOptions } from '../../src/client.ts';
import type { AppError } from '../../src/index.ts';
import { alice, listen, stop } from '../kit.ts';
import { echo, payThing, ping, readThing, removeThing } from '../operations.ts';

export const operations = { echo, payThing, ping, readThing, removeThing };
type Visit = { readonly line: string; readonly headers: IncomingMessage['headers']; readonly body: string };
export type Script = (response: ServerResponse, attempt: number) => void;

const cleanUps: (() => Promise<unknown>)[] = [];
/** Closes what a test opened. */
export async function leaveNeighbours(): Promise<void> {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
}

/** Has something closed by {@link leaveNeighbours}. */
export const closeLater = (cleanUp: () => Promise<unknown>): number => cleanUps.push(cleanUp);

/** A neighbour that answers by a script, and a client for it. */
export async function neighbour(script: Script, options: Partial<ClientOptions> = {}) {
  const visits: Visit[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    visits.push({
      line: `${request.method} ${request.url}`,
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    });
    script(response, visits.length);
  });
  const port = await listen(server);
  const client = createClient(operations, { baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 2000, ...options });
  cleanUps.push(
    () => stop(server),
    () => client.close(),
  );
  return { client, visits, server, port };
}

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Script =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
export const problem = (status: number, code: string, detail = 'a sentence'): Script =>
  json(status, { status, code, detail });
export const refusalOf = (work: Promise<unknown>): Promise<AppError> =>
  work.then(
    () => Promise.reject(new Error('it was answered')),
    (error: unknown) => error as AppError,
  );
export const silence: Script = () => undefined;
export const reset: Script = (response) => response.destroy();
export const pong = json(200, { pong: 'pong', added: 'later' });
export const payment = { body: { amount: 5 } };
export const paid = json(200, { payer: alice, service: 'chat-proxy', key: 'k1' });
