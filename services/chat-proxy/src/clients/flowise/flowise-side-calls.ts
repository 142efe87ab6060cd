import { AppError } from '@tollgate/http-kit';
import { agentFor, ownHeaders, type ServerOptions } from '../upstream/connection.ts';
import { UpstreamCall } from '../upstream/upstream-call.ts';

/** One small call beside the predictions; gives the JSON of its answer. */
export type SideCall = (method: 'GET' | 'PUT' | 'DELETE', path: string, limitMs?: number) => Promise<unknown>;

const SIDE_CALL_MS = 5000;
const CONNECTIONS = 8;

/** Connections of their own: a call that stops an answer must not queue behind the answers. */
export function flowiseSideCalls(options: ServerOptions): { sideCall: SideCall; close(): Promise<void> } {
  const agent = agentFor({ ...options, connections: CONNECTIONS });
  const headers = ownHeaders(options);

  const sideCall: SideCall = async (method, path, limitMs = SIDE_CALL_MS) => {
    const call = new UpstreamCall({
      agent,
      url: `${options.baseUrl}/api/v1/${path}`,
      method,
      headers,
      signal: new AbortController().signal,
      timeouts: { firstByteMs: limitMs, idleMs: limitMs, totalMs: limitMs },
    });
    let isComplete = false;
    try {
      const { contentType } = await call.open();
      // An unknown path is answered with Flowise's own page and status 200.
      if (contentType !== 'application/json') throw new AppError('UPSTREAM_PROTOCOL_ERROR', `answered ${contentType}`);
      const body = await call.json();
      isComplete = true;
      return body;
    } finally {
      call.close(isComplete);
    }
  };

  return { sideCall, close: () => agent.destroy() };
}
