import { accounting, type UserId } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Allocated } from '../flows/allocate-credits.ts';
import type { Flows } from '../flows.ts';
import { answered, nextCursor, oneTime, pageOf } from './answers.ts';

const personOf = ({ userId }: { userId: UserId }) => `user:${userId}`;

export const allocationRoutes = (flows: Flows): Route[] => [
  ...grantRoutes(flows),
  ...adjustmentRoutes(flows),
  ...lotRoutes(flows),
];

const grantRoutes = (flows: Flows): Route[] => [
  serve(accounting.allocateCredits).with(async ({ body }, caller, context) => {
    const { userId: to, credits, expiryDays, notes, ...terms } = body;
    const request = oneTime(personOf(caller), accounting.allocateCredits, context, body);
    const answer = await flows.allocateCredits(caller, request, {
      to,
      credits,
      expiryDays,
      terms,
      notes,
      requestId: context.requestId,
    });
    return answered(201, answer, (allocated) => lotBody(allocated, credits));
  }),
  serve(accounting.allocateByEmail).with(async ({ body }, caller, context) => {
    const { email: to, credits, expiryDays, notes, ...terms } = body;
    const request = oneTime(personOf(caller), accounting.allocateByEmail, context, body);
    const answer = await flows.allocateCredits(caller, request, {
      to,
      credits,
      expiryDays,
      terms,
      notes,
      requestId: context.requestId,
    });
    return answered(201, answer, (allocated) => ({ ...lotBody(allocated, credits), email: to }));
  }),
];

const adjustmentRoutes = (flows: Flows): Route[] => [
  serve(accounting.setCredits).with(async ({ body }, caller, context) => {
    const { userId: of, credits: target, expiryDays, notes: reason = 'Balance set' } = body;
    const request = oneTime(personOf(caller), accounting.setCredits, context, body);
    const answer = await flows.adjustCredits(caller, request, {
      of,
      target,
      expiryDays,
      reason,
      requestId: context.requestId,
    });
    return answered(200, answer, ({ userId, previous, current }) => ({
      userId,
      previousCredits: previous,
      newCredits: current,
      message: `Credits of '${of}' set to ${current}.`,
    }));
  }),
  serve(accounting.removeCredits).with(async ({ body }, caller, context) => {
    const { userId: of, credits, notes: reason } = body;
    const request = oneTime(personOf(caller), accounting.removeCredits, context, body);
    const answer = await flows.adjustCredits(caller, request, {
      of,
      change: 0 - credits,
      reason,
      requestId: context.requestId,
    });
    return answered(200, answer, ({ userId, previous, current }) => ({
      userId,
      previousCredits: previous,
      newCredits: current,
      removedCredits: credits,
      message: `Removed ${credits} credits from '${of}'.`,
    }));
  }),
  serve(accounting.adjustCredits).with(async ({ body }, caller, context) => {
    const { userId: of, adjustment, notes: reason } = body;
    const request = oneTime(personOf(caller), accounting.adjustCredits, context, body);
    const answer = await flows.adjustCredits(caller, request, {
      of,
      change: adjustment,
      reason,
      requestId: context.requestId,
    });
    return answered(200, answer, ({ userId, previous, current }) => ({
      userId,
      previousCredits: previous,
      newCredits: current,
      adjustment,
      message: `Credits of '${of}' adjusted by ${adjustment}.`,
    }));
  }),
];

const lotRoutes = (flows: Flows): Route[] => [
  serve(accounting.listAllocations).with(async ({ query }, caller) => {
    const allocations = await flows.listAllocations(caller, pageOf(query));
    return {
      allocations,
      nextCursor: nextCursor(
        allocations.map(({ id }) => id),
        query.limit,
      ),
    };
  }),
  serve(accounting.revokeAllocation).with(async ({ params: { id } }, caller, context) => {
    const { userId, revoked, held } = await flows.revokeAllocation(caller, id, context.requestId);
    return {
      id,
      userId,
      revokedCredits: revoked,
      heldCredits: held,
      message: `Revoked ${revoked} credits of allocation ${id}.`,
    };
  }),
];

const lotBody = ({ id, userId, remaining, expiresAt }: Allocated, credits: number) => ({
  id,
  userId,
  totalCredits: credits,
  credits,
  remainingCredits: remaining,
  expiresAt,
});
