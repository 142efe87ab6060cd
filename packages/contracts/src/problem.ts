import { z } from 'zod';
import { ERROR_CODES, type ErrorCode, wireCode } from './error-codes.ts';
import { Timestamp } from './ids.ts';

/** RFC 9457 problem details, with our `code` and `requestId`; `error` and `message` repeat the sentence for older clients. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    requestId: z.string(),
    error: z.string(),
    message: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof Problem>;

/** The members of a problem document that follow from a code (RFC 9457 §3.1); the sentence is its title unless another may be shown. */
export function problemOf(code: ErrorCode, sentence?: string) {
  const { status, title } = ERROR_CODES[code];
  const wire = wireCode(code);
  return { type: `urn:tollgate:problem:${wire}`, title, status, detail: sentence ?? title, code: wire };
}

/** Which limit refused, beside a 402 `budget_exceeded` or a 429: members of the problem document. */
export const LimitDetails = z.object({
  scope: z.string().max(100).optional(),
  window: z.string().max(100).optional(),
  limit: z.number().optional(),
  resetsAt: Timestamp.nullable().optional(),
});
export type LimitDetails = z.infer<typeof LimitDetails>;
