import { connect } from 'node:net';
import { request } from 'undici';

const LAST_CHUNK = '\r\n0\r\n\r\n';

/** Sends a request by hand and returns every byte of the answer, to its last chunk, its close, or what is enough. */
export function rawExchange(
  port: number,
  lines: string[],
  body = '',
  isEnough = (seen: string) => seen.endsWith(LAST_CHUNK),
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = connect(port, '127.0.0.1');
  const seen: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => {
    seen.push(bytes);
    if (isEnough(Buffer.concat(seen).toString())) socket.destroy();
  });
  socket.once('close', () => resolve(Buffer.concat(seen)));
  socket.once('error', reject);
  const head = [...lines, `Host: 127.0.0.1:${port}`, `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close'];
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  return promise;
}

/** Splits a raw answer into its lower-cased header lines and its HTTP chunks with their sizes in bytes. */
export function readChunks(raw: Buffer): { head: string[]; chunks: string[]; sizes: number[] } {
  const headEnd = raw.indexOf('\r\n\r\n');
  const head = raw.subarray(0, headEnd).toString().toLowerCase().split('\r\n');
  const chunks: string[] = [];
  const sizes: number[] = [];
  let body = raw.subarray(headEnd + 4);
  for (;;) {
    const lineEnd = body.indexOf('\r\n');
    const size = Number.parseInt(body.subarray(0, lineEnd).toString(), 16);
    if (lineEnd < 0 || !size) break;
    sizes.push(size);
    chunks.push(body.subarray(lineEnd + 2, lineEnd + 2 + size).toString());
    body = body.subarray(lineEnd + 2 + size + 2);
  }
  return { head, chunks, sizes };
}

/** POSTs JSON with undici; the body is left for the caller to read. */
export function post(
  url: string,
  body: unknown,
  options: { signal?: AbortSignal; headers?: Record<string, string> } = {},
) {
  const { headers, signal } = options;
  return request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
}

/** The `data:` payloads of an event stream, in order, as text. */
export function payloads(stream: string): string[] {
  return stream
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length).trim());
}
