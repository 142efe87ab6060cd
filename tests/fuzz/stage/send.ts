import { Agent, type IncomingMessage, request } from 'node:http';

export interface Sending {
  readonly method: string;
  /** As it stands in the request line. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

export interface Received {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

const DEADLINE_MS = 60_000;
const LONGEST_ANSWER = 32 * 1024 * 1024;
const agent = new Agent({ keepAlive: true, maxSockets: 32 });

/** One exchange, byte for byte as it is meant: nothing is normalised on the way. */
export function send(url: string, sending: Sending): Promise<Received> {
  const { hostname, port } = new URL(url);
  const { method, path, headers, body } = sending;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(body.length) };
    const asked = request({ hostname, port, agent, method, path, headers: { ...length, ...headers } }, (response) => {
      collected(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        reject,
      );
    });
    asked.setTimeout(DEADLINE_MS, () => asked.destroy(new Error(`no answer to ${method} ${path}`)));
    asked.once('error', reject);
    asked.end(body);
  });
}

async function collected(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LONGEST_ANSWER) throw new Error('the answer does not end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** For the end of a run: no socket stays behind. */
export const closeConnections = (): void => agent.destroy();
