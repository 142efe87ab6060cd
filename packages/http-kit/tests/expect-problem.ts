import { expect } from '@jest/globals';
import { ERROR_CODES, type ErrorCode, wireCode } from '@tollgate/contracts';
import type { Answer } from './kit.ts';

/** The one shape of every refusal: status, names, sentence, request id, and never cached. */
export function expectProblem(answer: Answer, code: ErrorCode): void {
  const { status, title } = ERROR_CODES[code];
  expect(answer.json).toMatchObject({
    type: `urn:tollgate:problem:${wireCode(code)}`,
    title,
    status,
    code: wireCode(code),
  });
  const { detail, error, message, requestId } = answer.json;
  expect([error, message]).toEqual([detail, detail]);
  expect(requestId).toBe(answer.headers['x-request-id']);
  expect(requestId).toMatch(/^[\w.:-]{8,128}$/);
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(answer.headers['cache-control']).toBe('no-store');
}
