import { randomUUID } from 'node:crypto';

/** Answers are looked at field by field; which fields one really has is what the tests say. */
export type Answer = { status: number; headers: Headers; body: Record<string, unknown> & { code?: string } };
export type CallOptions = {
  token?: string;
  body?: unknown;
  /** A new one when absent; null sends none. */
  key?: string | null;
  onBehalfOf?: string;
  headers?: Record<string, string>;
};

export async function callJson(method: string, url: string, options: CallOptions): Promise<Answer> {
  const { token, body, key, onBehalfOf, headers } = options;
  const response = await fetch(url, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(key !== null && { 'idempotency-key': key ?? randomUUID() }),
      ...(onBehalfOf !== undefined && { 'x-on-behalf-of': onBehalfOf }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
}
