import { Agent, FormData, request } from 'undici';
import type { Person } from '../fixtures/proxy.ts';

// The agent that undici shares with Node's own fetch knows no form of undici's.
const agent = new Agent();

export interface Sent {
  readonly method?: 'GET' | 'POST' | 'OPTIONS' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** A request whose answer may be anything. */
export async function send(url: string, { method = 'GET', headers = {}, body }: Sent = {}) {
  const isForm = body instanceof FormData;
  const response = await request(url, {
    method,
    dispatcher: agent,
    headers: { ...headers, ...(body && !isForm && { 'content-type': 'application/json' }) },
    ...(body && { body: isForm ? body : JSON.stringify(body) }),
  });
  return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
}
export const bearer = ({ token }: Person) => ({ authorization: `Bearer ${token}` });
