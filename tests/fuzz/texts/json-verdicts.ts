import { JSON_TEXTS, type Platform } from '@tollgate/test-kit';
import type { Found } from '../operations.ts';
import { send } from '../stage/send.ts';

/** One operation of each framework that takes JSON from anybody: Express serves auth and accounting, Fastify the proxy. */
const PLACES = [
  { service: 'auth', path: '/api/auth/login' },
  { service: 'chatProxy', path: '/api/v1/chat/authenticate' },
  { service: 'accounting', path: '/api/credits/check' },
] as const;

/** Whether each place takes a text for JSON: what is none is `malformed_json`, what is no login is another refusal. */
export async function judgeJsonTexts(platform: Platform): Promise<Found[]> {
  const found: Found[] = [];
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${platform.admin.accessToken}` };
  for (const { name, bytes, isJson } of JSON_TEXTS) {
    for (const { service, path } of PLACES) {
      const { status, text } = await send(platform.urls[service], { method: 'POST', path, headers, body: bytes });
      const isTaken = !text.includes('"code":"malformed_json"');
      if (status >= 500 || status < 400 || isTaken !== isJson) {
        found.push({
          operation: `${service} ${path}`,
          what: `takes ${name} for ${isTaken ? 'JSON' : 'none'} (${status})`,
          example: text.slice(0, 300),
        });
      }
    }
  }
  return found;
}
