import { Agent, type Dispatcher } from 'undici';

/** How one question went; `firstByte` by the clock of `performance`. */
export interface Asked {
  readonly firstByte: number;
  /** How often something of its body came. */
  readonly pieces: number;
  readonly fault: string | undefined;
}

/** One request; `good` is what the last bytes of its answer must hold. */
export interface Call {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Absent: it is a GET. */
  readonly body?: string;
  readonly good: string;
}

/** Enough of the end of an answer to see that it is whole. */
const TAIL_BYTES = 1024;
const ANSWER_MS = 60_000;

export const openAgent = (connections: number): Agent =>
  new Agent({ connections, pipelining: 1, headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });

/** Reads the answer as it comes. Never rejects. */
export function httpAsk(agent: Agent, { origin, path, headers, body, good }: Call): Promise<Asked> {
  const { promise, resolve } = Promise.withResolvers<Asked>();
  let status = 0;
  let firstByte = 0;
  let pieces = 0;
  let bytes = 0;
  const tail: Buffer[] = [];
  const done = (fault?: string) => resolve({ firstByte, pieces, fault });
  const what: Dispatcher.DispatchOptions = { origin, path, headers, method: body === undefined ? 'GET' : 'POST' };
  agent.dispatch(body === undefined ? what : { ...what, body }, {
    // undici knows by this method that it speaks to a handler of today.
    onRequestStart: () => undefined,
    onResponseStart(_controller, code) {
      status = code;
    },
    onResponseData(_controller, chunk) {
      if (firstByte === 0) firstByte = performance.now();
      pieces += 1;
      bytes += chunk.length;
      tail.push(chunk);
      while (bytes - (tail[0]?.length ?? 0) >= TAIL_BYTES) bytes -= tail.shift()?.length ?? 0;
    },
    onResponseEnd() {
      const text = Buffer.concat(tail).toString();
      done(status === 200 && text.includes(good) ? undefined : `${status} ${text.slice(-TAIL_BYTES).slice(0, 300)}`);
    },
    onResponseError: (_controller, error) => done(String(error)),
  });
  return promise;
}
