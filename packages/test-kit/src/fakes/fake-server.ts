import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const BODY_LIMIT_BYTES = 64 * 1024 * 1024;

/** A request whose body has been read. */
export type Visit = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
};

/** Answers one visit; a rejection becomes a 500 that shows the error, so that a fault of the fake is not mistaken. */
export type Handler = (visit: Visit, res: ServerResponse) => Promise<void>;

export type FakeServer = {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Stops listening and cuts every open connection. */
  close(): Promise<void>;
};

/** Serves a handler on 127.0.0.1; port 0 lets the system choose. */
export async function listen(handler: Handler, port = 0): Promise<FakeServer> {
  const server = createServer((req, res) => void serve(handler, req, res));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, '127.0.0.1', resolve);
  await promise;
  const bound = (server.address() as AddressInfo).port; // a listening TCP server has an address object
  return {
    port: bound,
    origin: `http://127.0.0.1:${bound}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** Sends a complete JSON answer. */
export function sendJson(res: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}) {
  sendText(res, status, { 'content-type': 'application/json; charset=utf-8', ...headers }, JSON.stringify(value));
}

/** Sends a complete answer of any type. */
export function sendText(res: ServerResponse, status: number, headers: Record<string, string>, text: string) {
  const bytes = Buffer.from(text);
  res.writeHead(status, { ...headers, 'content-length': bytes.length });
  res.end(bytes);
}

/** Reads form bodies; file parts stay File objects. Throws a TypeError on a malformed body. */
export function readForm(visit: Visit): Promise<FormData> {
  const type = visit.headers['content-type'] ?? '';
  return new Response(new Uint8Array(visit.bytes), { headers: { 'content-type': type } }).formData();
}

/** Whether the request declares a form body, urlencoded or multipart. */
export function isForm(visit: Visit): boolean {
  return /^(multipart\/form-data|application\/x-www-form-urlencoded)\b/i.test(visit.headers['content-type'] ?? '');
}

async function serve(handler: Handler, req: IncomingMessage, res: ServerResponse): Promise<void> {
  try {
    const bytes = await readBody(req);
    const url = new URL(req.url ?? '/', 'http://fake');
    const { method = 'GET', headers } = req;
    await handler({ method, path: url.pathname, query: url.searchParams, headers, bytes }, res);
  } catch (error) {
    if (res.headersSent || res.destroyed) res.destroy();
    else sendJson(res, 500, { error: { message: `the fake failed: ${String(error)}`, type: 'fake_failure' } });
  }
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT_BYTES) throw new RangeError(`a request body over ${BODY_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
