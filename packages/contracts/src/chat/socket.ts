import { z } from 'zod';
import { HoldId, IdempotencyKey } from '../ids.ts';

/** What the client calls an answer on its socket; its own choice, one at a time. */
const AnswerName = z.string().min(1).max(64);

/** What a client sends over `GET /api/v1/chat/ws`, but for the body of an `ask`, which is that of the other routes. */
export const SocketMessage = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('auth'), token: z.string().min(1).max(8192) }),
  z.looseObject({
    type: z.literal('ask'),
    id: AnswerName,
    /** Whether both messages go into the history. */
    store: z.boolean().default(true),
    idempotency_key: IdempotencyKey.optional(),
    /** Seconds that the answer shall go on when the socket is gone. */
    keep_running: z.int().min(0).max(3600).optional(),
  }),
  z.strictObject({ type: z.literal('stop'), request_id: HoldId }),
  z.strictObject({
    type: z.literal('resume'),
    id: AnswerName,
    request_id: HoldId,
    last_event_id: z.int().min(0).max(999_999_999).default(0),
  }),
]);
export type SocketMessage = z.infer<typeof SocketMessage>;
