import { randomUUID } from 'node:crypto';
import { Agent, FormData, request } from 'undici';
import type { Person, Proxy } from '../fixtures/proxy.ts';

// The agent that undici shares with Node's own fetch knows no form of undici's.
const agent = new Agent();

export interface Bytes {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly bytes: Buffer;
  readonly body: Record<string, unknown>;
}

/** One request whose answer may be anything. */
export async function send(
  url: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: 'GET' | 'POST' | 'HEAD'; headers?: Record<string, string>; body?: FormData } = {},
): Promise<Bytes> {
  const response = await request(url, { method, dispatcher: agent, headers, ...(body && { body }) });
  const bytes = Buffer.from(await response.body.arrayBuffer());
  const isJson = String(response.headers['content-type']).includes('json');
  return {
    status: response.statusCode,
    headers: response.headers,
    bytes,
    body: isJson && bytes.byteLength > 0 ? (JSON.parse(bytes.toString()) as Record<string, unknown>) : {},
  };
}

interface Sent {
  readonly bytes: Uint8Array;
  readonly name?: string;
  readonly mime?: string;
  readonly sessionId?: string;
}

/** POST /upload, as a browser does it. */
export function upload(
  proxy: Proxy,
  person: Person,
  { bytes, name = 'note.txt', mime = 'text/plain', sessionId = randomUUID() }: Sent,
): Promise<Bytes> {
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(bytes)], { type: mime }), name);
  form.append('session_id', sessionId);
  return send(`${proxy.url}/api/v1/chat/upload`, { method: 'POST', headers: bearer(person), body: form });
}

export const bearer = ({ token }: Person) => ({ authorization: `Bearer ${token}` });
export const idOf = ({ body }: Bytes): string => String(body['file_id']);

export const read = (proxy: Proxy, person: Person, path: string, headers: Record<string, string> = {}) =>
  send(`${proxy.url}/api/v1/chat/files/${path}`, { headers: { ...bearer(person), ...headers } });

/** How the history shows a file, and a message with files. */
interface View {
  readonly file_id: string;
  readonly url: string;
  readonly download_url: string;
  readonly thumbnail_url: string | null;
  readonly [field: string]: unknown;
}
export interface Message {
  readonly id: string;
  readonly role: string;
  readonly file_ids: string[];
  readonly has_files: boolean;
  readonly uploads: View[];
}
