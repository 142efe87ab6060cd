import { accounting, type ServerResult } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { HoldRecord } from '../domain/hold-state.ts';
import type { Flows } from '../flows.ts';
import { answered, callOf } from './answers.ts';

const MOST_ACTIVE = 100;
const MOST_RECENT = 50;
const MOST_RECENT_OF_USER = 20;

export const streamingSessionRoutes = (flows: Flows): Route[] => [
  serve(accounting.initializeSession).with(async ({ body }, caller, context) =>
    answered(201, await flows.openSession(caller, body, callOf(context)), (session) => session),
  ),
  serve(accounting.finalizeSession).with(async ({ body: { sessionId, actualTokens, success } }, caller, context) => {
    const end = { sessionId, tokens: actualTokens, outcome: success ? ('completed' as const) : ('failed' as const) };
    const answer = await flows.closeSession(caller, end, callOf(context));
    return answered(200, answer, (hold) => ({
      ...label(hold),
      actualCredits: hold.chargedCredits,
      refund: hold.releasedCredits,
    }));
  }),
  serve(accounting.abortSession).with(async ({ body: { sessionId, tokensGenerated } }, caller, context) => {
    const answer = await flows.closeSession(
      caller,
      { sessionId, tokens: tokensGenerated, outcome: 'aborted' },
      callOf(context),
    );
    return answered(200, answer, (hold) => ({
      ...label(hold),
      partialCredits: hold.chargedCredits,
      refund: hold.releasedCredits,
    }));
  }),
  serve(accounting.listOwnActiveSessions).with(async (_input, { userId }) =>
    (await flows.listSessions('owner', { userId, active: true, limit: MOST_ACTIVE })).map(sessionBody),
  ),
  // Before the route with :userId, which would take "all" for an id.
  serve(accounting.listAllActiveSessions).with(async (_input, caller) =>
    (await flows.listSessions(caller, { active: true, limit: MOST_ACTIVE })).map(sessionBody),
  ),
  serve(accounting.listActiveSessionsOfUser).with(async ({ params: { userId } }, caller) =>
    (await flows.listSessions(caller, { userId, active: true, limit: MOST_ACTIVE })).map(sessionBody),
  ),
  serve(accounting.listRecentSessions).with(async ({ query: { minutes } }, caller) => ({
    sessions: (await flows.listSessions(caller, { minutes, limit: MOST_RECENT })).map(sessionBody),
    timestamp: new Date().toISOString(),
    filter: { minutes },
  })),
  serve(accounting.listRecentSessionsOfUser).with(async ({ params: { userId }, query: { minutes } }, caller) => ({
    sessions: (await flows.listSessions(caller, { userId, minutes, limit: MOST_RECENT_OF_USER })).map(sessionBody),
    timestamp: new Date().toISOString(),
    filter: { minutes, userId },
  })),
];

/** A session that a service opened has no label of the user's; its id stands in. */
const label = ({ sessionId, holdId }: HoldRecord) => ({
  sessionId: sessionId ?? holdId,
  session_id: sessionId ?? holdId,
});

type SessionBody = ServerResult<typeof accounting.listOwnActiveSessions>[number];

const sessionBody = (hold: HoldRecord): SessionBody => ({
  ...label(hold),
  userId: hold.userId,
  modelId: hold.model,
  chatflowId: hold.chatflowId,
  allocatedCredits: hold.heldCredits,
  usedCredits: hold.chargedCredits,
  status: hold.status,
  outcome: hold.outcome,
  startedAt: hold.createdAt.toISOString(),
  completedAt: hold.closedAt?.toISOString() ?? null,
});
