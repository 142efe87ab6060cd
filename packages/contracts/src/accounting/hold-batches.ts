import { z } from 'zod';
import { ClosedHold, Hold, holdCredits, settleHold, voidHold } from './holds.ts';
import { HoldId, IdempotencyKey, UserId } from '../ids.ts';
import { operation } from '../operation.ts';

/** The most items of one batch. */
const MOST_IN_BATCH = 100;
const BATCH_BYTES = 1_048_576;
const LONGEST_SUBJECT = 8192;

/** What comes as headers with a call of its own. */
const ItemHead = {
  /** As the header of that name: an item that is sent again has one effect. */
  idempotencyKey: IdempotencyKey,
  requestId: z
    .string()
    .regex(/^[\w.:-]{8,128}$/)
    .optional(),
  traceparent: z.string().max(512).optional(),
};

/** As if the item had come alone. 202: not known yet, ask again by a call of its own; the item may have its effect meanwhile. */
const answersOf = <Body extends z.ZodType>(body: Body) =>
  z.object({
    answers: z.array(
      z.object({
        status: z.int().min(200).max(599),
        headers: z.record(z.string(), z.string()).optional(),
        /** The result, or the problem document; absent with 202. */
        body: z.union([body, z.looseObject({ code: z.string() })]).optional(),
      }),
    ),
  });

export const holdCreditsBatch = operation({
  id: 'holdCreditsBatch',
  method: 'POST',
  path: '/api/holds/batch',
  summary: 'Reserve credits for several answers at once; each item has an answer of its own, as if it had come alone',
  permission: 'holds:write',
  body: z.strictObject({
    items: z
      .array(
        z.strictObject({
          ...ItemHead,
          /** As the header X-On-Behalf-Of: the user’s own bearer token or API key, or an id. */
          onBehalfOf: z.string().min(1).max(LONGEST_SUBJECT),
          hold: holdCredits.body,
        }),
      )
      .min(1)
      .max(MOST_IN_BATCH),
  }),
  result: answersOf(Hold),
  bodyLimit: BATCH_BYTES,
});

export const closeHoldsBatch = operation({
  id: 'closeHoldsBatch',
  method: 'POST',
  path: '/api/holds/close',
  summary: 'Settle or release several holds at once; each item has an answer of its own, as if it had come alone',
  permission: 'holds:write',
  body: z.strictObject({
    items: z
      .array(
        z.strictObject({
          ...ItemHead,
          userId: UserId,
          holdId: HoldId,
          end: z.discriminatedUnion('kind', [
            settleHold.body.extend({ kind: z.literal('settle') }),
            voidHold.body.extend({ kind: z.literal('void') }),
          ]),
        }),
      )
      .min(1)
      .max(MOST_IN_BATCH),
  }),
  result: answersOf(ClosedHold),
  bodyLimit: BATCH_BYTES,
});
