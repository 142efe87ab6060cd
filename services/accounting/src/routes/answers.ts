import type { ServiceCaller } from '@tollgate/http-kit';
import { AppError, type Reply, reply, type RequestContext } from '@tollgate/http-kit';
import type { Agent, Call } from '../flows/hold-credits.ts';
import type { Answered, OneTime } from '../flows/once.ts';

/** An answer that tells whether it is the one of an earlier, equal request. */
export const answered = <T, Body>(
  status: number,
  { value, replayed }: Answered<T>,
  body: (value: T) => Body,
): Reply<Body> => reply(status, body(value), replayed ? { headers: { 'idempotency-replayed': 'true' } } : {});

/** The Idempotency-Key of an operation that requires one. */
function keyOf({ idempotencyKey }: RequestContext): string {
  if (idempotencyKey === undefined) throw new AppError('IDEMPOTENCY_KEY_REQUIRED');
  return idempotencyKey;
}

export const callOf = (context: RequestContext): Call => ({
  key: keyOf(context),
  requestId: context.requestId,
  signal: context.signal,
});

/** A request that must have one effect, in the namespace of its caller and operation. */
export const oneTime = (
  caller: string,
  operation: { id: string },
  context: RequestContext,
  content: unknown,
): OneTime => ({
  caller,
  operation: operation.id,
  key: keyOf(context),
  content,
});

/** The service that calls and the user it acts for. Without a user there is nobody whose credits could be meant. */
export function agentOf({ service, onBehalfOf }: ServiceCaller): Agent {
  if (!onBehalfOf) throw new AppError('FORBIDDEN', 'X-On-Behalf-Of must name the user');
  return { service, userId: onBehalfOf.userId, person: onBehalfOf.user };
}

/** Position in a list by a whole number that grows. */
export const pageOf = ({ limit, cursor }: { limit: number; cursor?: string | undefined }) => ({
  limit,
  after: positionOf(cursor),
});

function positionOf(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined;
  const position = /^\d{1,15}$/.test(cursor) ? Number(cursor) : 0;
  if (position === 0) throw new AppError('VALIDATION_FAILED', 'The cursor is not one of ours');
  return position;
}

/** The cursor of the page after a full one. */
export const nextCursor = (positions: readonly number[], limit: number): string | null =>
  positions.length < limit ? null : String(positions.at(-1));
