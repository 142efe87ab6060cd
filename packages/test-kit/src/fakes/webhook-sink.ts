import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createStopSignal, createWaitingRoom, pause, untilAborted } from '../waiting.ts';
import { listen, type Visit } from './fake-server.ts';

/** One request as it arrived: the bytes are what a signature covers. */
export type ReceivedWebhook = {
  /** Counts up from 0 in the order of arrival. */
  readonly index: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: Buffer;
};

/** What the sink does with one request. */
export type WebhookAnswer = {
  /** Default: 204. */
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** Milliseconds before the answer. */
  delayMs?: number;
  /** A TCP reset in place of an answer. */
  reset?: true;
  /** No answer at all until the sink is stopped or the client leaves. */
  hang?: true;
};

export type WebhookSink = {
  /** `http://127.0.0.1:<port>/hook` */
  readonly url: string;
  readonly port: number;
  /** Everything that came, oldest first. */
  readonly received: readonly ReceivedWebhook[];
  /** Answers the next requests so, one each and in order; afterwards every one with 204. */
  script(...answers: WebhookAnswer[]): void;
  /** Resolves with request number `index` (from 0), now or when it comes. */
  untilReceived(index: number): Promise<ReceivedWebhook>;
  /** Forgets what came and what was scripted. */
  clear(): void;
  stop(): Promise<void>;
};

const KEPT = 10_000;

/** Takes webhooks on 127.0.0.1 and records them byte for byte, with answers and faults in the order a test wants. */
export async function startWebhookSink({ port = 0 }: { port?: number } = {}): Promise<WebhookSink> {
  const received: ReceivedWebhook[] = [];
  const answers: WebhookAnswer[] = [];
  const room = createWaitingRoom('the webhook sink');
  const stopping = createStopSignal();
  const server = await listen(async (visit, res) => {
    received.push({ index: received.length, ...recordOf(visit) });
    if (received.length > KEPT) throw new RangeError(`more than ${KEPT} webhooks`);
    const answer = answers.shift() ?? {};
    room.changed();
    await play(answer, res, stopping.signal);
  }, port);
  return {
    url: `${server.origin}/hook`,
    port: server.port,
    received,
    script: (...more) => void answers.push(...more),
    untilReceived: (index) => room.until(`webhook ${index}`, () => received[index]),
    clear() {
      received.length = 0;
      answers.length = 0;
    },
    async stop() {
      stopping.abort(new Error('the webhook sink was stopped'));
      room.close();
      await server.close();
    },
  };
}

const recordOf = ({ method, path, headers, bytes }: Visit) => ({ method, path, headers, raw: bytes });

async function play(answer: WebhookAnswer, res: ServerResponse, signal: AbortSignal): Promise<void> {
  if (answer.hang) await untilAborted(signal).catch(() => undefined);
  await pause(answer.delayMs ?? 0, signal).catch(() => undefined);
  if (answer.reset) return void res.socket?.resetAndDestroy();
  if (res.destroyed) return;
  res.writeHead(answer.status ?? 204, answer.headers);
  res.end(answer.body);
}
