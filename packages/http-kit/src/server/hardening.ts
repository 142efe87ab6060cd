import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import helmet from 'helmet';
import { securityHeaders } from './service-options.ts';

/** helmet's headers as names and values, read once from a response that is never sent: they are the same for every answer. */
export function hardeningHeaders(production: boolean): readonly (readonly [name: string, value: string])[] {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  helmet(securityHeaders(production))(response.req, response, () => undefined);
  // Node has it since 15.4; its types do not.
  const { getRawHeaderNames } = response as unknown as { getRawHeaderNames(this: ServerResponse): string[] };
  return getRawHeaderNames.call(response).map((name) => [name, String(response.getHeader(name))] as const);
}
