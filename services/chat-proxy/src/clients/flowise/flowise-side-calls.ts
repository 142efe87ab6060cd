import { AppError } from '@tollgate/http-kit';
import { agentFor, ownHeaders, type ServerOptions } from '../upstream/connection.ts';
import { UpstreamCall } from '../upstream/upstream-call.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

interface SideRequest {
  /** Below `/api/v1/`. */
  readonly path: string;
  readonly body?: unknown;
  /** Milliseconds for all of it. */
  readonly limitMs?: number;
}

/** Calls beside the predictions. */
export interface SideCalls {
  /** Gives the JSON of the answer. */
  ask(method: Method, request: SideRequest): Promise<unknown>;
  /** A file, when it is no longer than `limit` bytes. */
  file(request: SideRequest, limit: number): Promise<Uint8Array>;
  /** The `data` of the events. */
  events(request: SideRequest, signal: AbortSignal): AsyncGenerator<string, void, undefined>;
  close(): Promise<void>;
}

type Head = Awaited<ReturnType<UpstreamCall['open']>>;

const SIDE_CALL_MS = 5000;
const CONNECTIONS = 8;

export function flowiseSideCalls(options: ServerOptions): SideCalls {
  // Connections of their own: a call that stops an answer must queue neither behind answers nor behind files and speech.
  const quick = agentFor({ ...options, connections: CONNECTIONS });
  const slow = agentFor({ ...options, connections: CONNECTIONS });
  const headers = ownHeaders(options);
  const never = new AbortController().signal;

  function callOf(method: Method, { path, body, limitMs = SIDE_CALL_MS }: SideRequest, signal = never): UpstreamCall {
    return new UpstreamCall({
      agent: limitMs > SIDE_CALL_MS ? slow : quick,
      url: `${options.baseUrl}/api/v1/${path}`,
      method,
      headers,
      body,
      signal,
      timeouts: { firstByteMs: limitMs, idleMs: limitMs, totalMs: limitMs },
    });
  }

  async function whole<Answer>(call: UpstreamCall, read: (head: Head) => Promise<Answer>): Promise<Answer> {
    let isComplete = false;
    try {
      const answer = await read(await call.open());
      isComplete = true;
      return answer;
    } finally {
      call.close(isComplete);
    }
  }

  return {
    ask(method, request) {
      const call = callOf(method, request);
      return whole(call, ({ contentType }) => {
        // An unknown path is answered with Flowise's own page and status 200.
        if (contentType !== 'application/json') throw odd(contentType);
        return call.json();
      });
    },
    file(request, limit) {
      const call = callOf('GET', request);
      return whole(call, ({ isAttachment, contentType }) => {
        if (!isAttachment) throw odd(contentType);
        return call.bytes(limit);
      });
    },
    async *events(request, signal) {
      const call = callOf('POST', request, signal);
      let isComplete = false;
      try {
        const { contentType } = await call.open();
        if (contentType !== 'text/event-stream') throw odd(contentType);
        for await (const some of call.events(() => true)) yield* some;
        isComplete = true;
      } finally {
        call.close(isComplete);
      }
    },
    close: async () => void (await Promise.all([quick.destroy(), slow.destroy()])),
  };
}

const odd = (contentType: string) => new AppError('UPSTREAM_PROTOCOL_ERROR', `answered ${contentType}`);
