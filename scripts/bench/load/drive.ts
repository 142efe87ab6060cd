import { Agent, type Dispatcher } from 'undici';

/** One request of a column; `good` is what the last bytes of an answer must hold. */
export interface Call {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly good: string;
}

/** What came of driving a server for a while. Times in milliseconds. */
export interface Driven {
  readonly seconds: number;
  readonly answers: number;
  readonly faults: number;
  readonly firstFault: string | undefined;
  readonly firstBytes: readonly number[];
  readonly durations: readonly number[];
}

interface Drive {
  readonly connections: number;
  readonly milliseconds: number;
  readonly next: () => Call;
}

/** Enough of the end of an answer to see that it is whole. */
const TAIL_BYTES = 1024;
const ANSWER_MS = 30_000;

/** Asks over so many connections, each as soon as its last answer is whole, for a while. */
export async function drive({ connections, milliseconds, next }: Drive): Promise<Driven> {
  const agent = new Agent({ connections, pipelining: 1, headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
  const firstBytes: number[] = [];
  const durations: number[] = [];
  let faults = 0;
  let firstFault: string | undefined;
  const began = performance.now();
  const end = began + milliseconds;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      const asked = performance.now();
      const { firstByte, fault } = await ask(agent, next());
      if (fault === undefined) {
        firstBytes.push(firstByte - asked);
        durations.push(performance.now() - asked);
      } else {
        faults += 1;
        firstFault ??= fault;
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  const seconds = (performance.now() - began) / 1000;
  await agent.close();
  return { seconds, answers: durations.length, faults, firstFault, firstBytes, durations };
}

interface Asked {
  readonly firstByte: number;
  readonly fault: string | undefined;
}

/** Never rejects: what went wrong is counted. */
export function ask(agent: Agent, call: Call, hurry?: AbortSignal): Promise<Asked> {
  const { promise, resolve } = Promise.withResolvers<Asked>();
  let status = 0;
  let firstByte = 0;
  let tail: Buffer = Buffer.alloc(0);
  const done = (fault?: string) => resolve({ firstByte, fault });
  const options: Dispatcher.DispatchOptions = {
    origin: call.origin,
    path: call.path,
    method: 'POST',
    headers: call.headers,
    body: call.body,
  };
  agent.dispatch(options, {
    onRequestStart(controller) {
      hurry?.addEventListener('abort', () => controller.abort(new Error('hung up')), { once: true });
    },
    onResponseStart(_controller, code) {
      status = code;
    },
    onResponseData(_controller, chunk) {
      if (firstByte === 0) firstByte = performance.now();
      const all = chunk.length >= TAIL_BYTES ? chunk : Buffer.concat([tail, chunk]);
      tail = all.subarray(Math.max(0, all.length - TAIL_BYTES));
    },
    onResponseEnd() {
      const text = tail.toString();
      done(status === 200 && text.includes(call.good) ? undefined : `${status} ${text.slice(0, 300)}`);
    },
    onResponseError: (_controller, error) => done(String(error)),
  });
  return promise;
}
