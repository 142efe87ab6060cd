import { z } from 'zod';
import { UserId, WorkspaceId } from '../ids.ts';
import { operation } from '../operation.ts';

const Id = z.string().regex(/^[\x21-\x7e]{1,128}$/);
const Version = z.int().min(0);

/** The natural name of the fact, so that telling it twice is telling it once. */
const told = {
  id: z.string().min(1).max(256),
  /** Milliseconds since 1970, by the clock of the instance of auth that decided. */
  madeAt: z.int().min(0),
  /** Open: an older follower must understand the rest of an entry whose reason it does not know. */
  reason: z.string().max(40),
};

/** Access tokens that count no longer although they have not expired. */
export const Revocation = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('session'), sessionId: Id, ...told }),
  /** Tokens with a `ver` below `minVersion`; tokens without one that were issued before. */
  z.object({ kind: z.literal('user'), userId: UserId, minVersion: Version, exceptSessionId: Id.optional(), ...told }),
  /** The same for `mver`, within one workspace. */
  z.object({ kind: z.literal('member'), userId: UserId, workspaceId: WorkspaceId, minVersion: Version, ...told }),
  /** Tokens of the workspace that were issued before. */
  z.object({ kind: z.literal('workspace'), workspaceId: WorkspaceId, ...told }),
  z.object({ kind: z.literal('key'), keyId: Id, ...told }),
]);
export type Revocation = z.output<typeof Revocation>;

/** Milliseconds since 1970, up to the year 9999. */
const Moment = z.coerce.number().int().min(0).max(253_402_300_799_999);
const MOST_AT_ONCE = 1000;

export const readRevocations = operation({
  id: 'readRevocations',
  method: 'GET',
  path: '/api/internal/revocations',
  summary:
    'Which access tokens count no longer, oldest first, while any of them may not have expired; for services that follow',
  permission: 'internal:revocations',
  query: z.strictObject({
    /** Entries are told from this moment on; the clocks of those who write them differ, so ask with an overlap. */
    since: Moment.default(0),
    cursor: z.string().max(512).optional(),
  }),
  result: z.object({
    revocations: z.array(Revocation).max(MOST_AT_ONCE),
    nextCursor: z.string().nullable(),
    /** The clock of whoever answers, in milliseconds since 1970. */
    now: z.int().min(0),
  }),
});
