import { publicConnector } from '@tollgate/http-kit/public-address';
import { Agent, buildConnector } from 'undici';
import type { Prompt } from '../../ports.ts';
import { inPieces } from './in-pieces.ts';
import type { Turns } from './turns.ts';
import { type UpstreamTimeouts } from './upstream-call.ts';

/** A configured AI server, as far as its kind does not matter. */
export interface ServerOptions {
  readonly name: string;
  readonly baseUrl: string;
  readonly apiKey: string | undefined;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Headers of the client's own request that are passed on; lower case. */
  readonly passHeaders: readonly string[];
  /** Refuses to connect to an address of a private network. */
  readonly publicOnly: boolean;
  readonly connections: number;
  readonly connectMs: number;
  readonly timeouts: UpstreamTimeouts;
  /** Shared by all servers. */
  readonly turns: Turns;
  /** Told when an answer was left before its end; a chain of Flowise goes on regardless (T-F5). */
  readonly abandoned: (chatflowId: string) => void;
}

/** Connections to one server. A redirect is never followed: undici does not, and a 3xx is no success. */
export function agentFor(options: Pick<ServerOptions, 'connections' | 'connectMs' | 'publicOnly'>): Agent {
  const { connections, connectMs, publicOnly } = options;
  const connect = publicOnly ? publicConnector(connectMs) : buildConnector({ timeout: connectMs });
  return new Agent({ connections, connect: inPieces(connect), pipelining: 1 });
}

/** What the operator has configured for every request. */
export const ownHeaders = ({ apiKey, headers }: Pick<ServerOptions, 'apiKey' | 'headers'>): Record<string, string> => ({
  ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
  ...headers,
});

/**
 * The headers of a question. Both ids are the same for every attempt. Of the client's own headers those go along that the
 * operator has named, unless the client says that they are for the next hop alone (RFC 9110, section 7.6.1).
 */
export function headersFor(
  { requestId, clientHeaders = {} }: Pick<Prompt, 'requestId' | 'clientHeaders'>,
  options: Pick<ServerOptions, 'apiKey' | 'headers' | 'passHeaders'>,
): Record<string, string> {
  const forNextHop = new Set((clientHeaders.connection ?? '').toLowerCase().split(/[\s,]+/));
  const passed = options.passHeaders.flatMap((name) => {
    const value = clientHeaders[name];
    return isPlain(value) && !forNextHop.has(name) ? [[name, value]] : [];
  });
  return {
    ...Object.fromEntries(passed),
    'x-request-id': requestId,
    'idempotency-key': requestId,
    ...ownHeaders(options),
  };
}

const LONGEST_PASSED = 1024;
const isPlain = (value: unknown): boolean =>
  typeof value === 'string' && value.length <= LONGEST_PASSED && /^[\x20-\x7e]*$/.test(value);
