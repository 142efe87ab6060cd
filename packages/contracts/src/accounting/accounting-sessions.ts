import { z } from 'zod';
import { line } from './accounting-text.ts';
import { Credits, MAX_AMOUNT } from '../credits.ts';
import { HOLD_STATUSES, OUTCOMES } from './holds.ts';
import { Timestamp, UserId } from '../ids.ts';
import { operation, withAliases } from '../operation.ts';

/** A label inside the caller's own namespace; never an id by itself. */
const SessionLabel = line(200);
const TokenCount = z.int().min(0).max(MAX_AMOUNT);
const SECOND_NAME = { session_id: 'sessionId' } as const;
const both = { sessionId: z.string(), session_id: z.string() };

export const initializeSession = operation({
  id: 'initializeSession',
  method: 'POST',
  path: '/api/streaming-sessions/initialize',
  summary: 'Reserve the price of a number of tokens; idempotent per user and sessionId',
  permission: 'sessions:own',
  idempotencyKey: 'required',
  status: 201,
  body: withAliases(
    z.strictObject({
      sessionId: SessionLabel,
      modelId: line(200),
      estimatedTokens: TokenCount.min(1),
    }),
    SECOND_NAME,
  ),
  result: z.object({ ...both, allocatedCredits: Credits, status: z.literal('active') }),
  errors: ['INSUFFICIENT_CREDITS', 'MODEL_NOT_PRICED', 'HOLD_CLOSED', 'IDEMPOTENCY_KEY_REUSED'],
  invalidDetail: 'Missing required fields',
});

export const finalizeSession = operation({
  id: 'finalizeSession',
  method: 'POST',
  path: '/api/streaming-sessions/finalize',
  summary: 'Charge a session that the caller opened itself and return the rest',
  permission: 'sessions:own',
  idempotencyKey: 'required',
  body: withAliases(
    z.strictObject({ sessionId: SessionLabel, actualTokens: TokenCount, success: z.boolean().default(true) }),
    SECOND_NAME,
  ),
  result: z.object({ ...both, actualCredits: Credits, refund: Credits }),
  errors: ['NOT_FOUND', 'HOLD_CLOSED', 'IDEMPOTENCY_KEY_REUSED'],
  invalidDetail: 'Missing required fields',
});

export const abortSession = operation({
  id: 'abortSession',
  method: 'POST',
  path: '/api/streaming-sessions/abort',
  summary: 'End a session that the caller opened itself early',
  permission: 'sessions:own',
  idempotencyKey: 'required',
  body: withAliases(z.strictObject({ sessionId: SessionLabel, tokensGenerated: TokenCount.default(0) }), SECOND_NAME),
  result: z.object({ ...both, partialCredits: Credits, refund: Credits }),
  errors: ['NOT_FOUND', 'HOLD_CLOSED', 'IDEMPOTENCY_KEY_REUSED'],
  invalidDetail: 'Missing required fields',
});

export const StreamingSession = z.object({
  ...both,
  userId: z.string(),
  modelId: z.string().nullable(),
  chatflowId: z.string().nullable(),
  allocatedCredits: Credits,
  usedCredits: Credits,
  status: z.enum(HOLD_STATUSES),
  outcome: z.enum(OUTCOMES).nullable(),
  startedAt: Timestamp,
  completedAt: Timestamp.nullable(),
});
export type StreamingSession = z.infer<typeof StreamingSession>;

const userParams = z.strictObject({ userId: UserId });

export const listOwnActiveSessions = operation({
  id: 'listOwnActiveSessions',
  method: 'GET',
  path: '/api/streaming-sessions/active',
  summary: 'Own open sessions, newest first (at most 100)',
  permission: 'sessions:own',
  result: z.array(StreamingSession),
});

export const listAllActiveSessions = operation({
  id: 'listAllActiveSessions',
  method: 'GET',
  path: '/api/streaming-sessions/active/all',
  summary: 'Open sessions of everybody, newest first (at most 100)',
  permission: 'sessions:read-all',
  result: z.array(StreamingSession),
});

export const listActiveSessionsOfUser = operation({
  id: 'listActiveSessionsOfUser',
  method: 'GET',
  path: '/api/streaming-sessions/active/:userId',
  summary: 'Open sessions of a user, newest first (at most 100)',
  permission: 'sessions:read-any',
  params: userParams,
  result: z.array(StreamingSession),
});

const Minutes = z.strictObject({ minutes: z.coerce.number().int().min(1).max(1440).default(5) });
const recent = { sessions: z.array(StreamingSession), timestamp: Timestamp };

export const listRecentSessions = operation({
  id: 'listRecentSessions',
  method: 'GET',
  path: '/api/streaming-sessions/recent',
  summary: 'Sessions of the last minutes, newest first (at most 50)',
  permission: 'sessions:read-any',
  query: Minutes,
  result: z.object({ ...recent, filter: z.object({ minutes: z.int() }) }),
});

export const listRecentSessionsOfUser = operation({
  id: 'listRecentSessionsOfUser',
  method: 'GET',
  path: '/api/streaming-sessions/recent/:userId',
  summary: 'Sessions of a user in the last minutes, newest first (at most 20)',
  permission: 'sessions:read-any',
  params: userParams,
  query: Minutes,
  result: z.object({ ...recent, filter: z.object({ minutes: z.int(), userId: z.string() }) }),
});
