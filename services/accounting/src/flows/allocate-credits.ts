import { UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { actorOf, type Person } from '../domain/callers.ts';
import { scopeOf } from '../domain/scope.ts';
import type { Account, Grant, Granted, Ports, Rules, Tx } from '../ports.ts';
import type { Answered, OneTime, Once } from './once.ts';

/** What only an admin may say about a lot. */
export type LotTerms = Readonly<
  Partial<Pick<Grant, 'priority' | 'effectiveAt' | 'expiresAt' | 'models' | 'upstreams' | 'workspaceId'>>
> &
  Readonly<{ source?: Grant['source'] | undefined; period?: string | undefined }>;

export type Allocation = Readonly<{
  /** Id, user name or e-mail address. */
  to: string;
  credits: number;
  /** Null: never lapses; absent without `expiresAt` as well: the usual term. */
  expiryDays?: number | null | undefined;
  terms: LotTerms;
  notes?: string | undefined;
  requestId: string;
}>;
export type Allocated = Readonly<{
  id: number;
  userId: string;
  email: string | null;
  remaining: number;
  expiresAt: string | null;
}>;

type Deps = Pick<Ports, 'events' | 'rules'> & { once: Once };

const USUAL_EXPIRY_DAYS = 30;
/** How the account of a workspace begins; a supervisor may be a member of it, or of another one. */
const POOL = 'ws_';

/** Grants credits as a new lot. A supervisor does so up to a cap, never to itself, and on the usual terms. */
export const createAllocateCredits = ({ events, rules, once }: Deps) =>
  async function allocateCredits(
    caller: Person,
    request: OneTime,
    allocation: Allocation,
  ): Promise<Answered<Allocated>> {
    const { to, credits } = allocation;
    const actor = actorOf(caller);
    const fact = { actor, of: to, credits, operation: request.operation };
    const attempt = once(request, async (tx) => {
      const known = await tx.findAccount(to);
      const id = known?.id ?? idToOpen(to, rules);
      if (await isOutOfReach(tx, caller, id, rules)) {
        events.overstepped(fact);
        throw unknownUser(to);
      }
      const account = known ?? (await newAccount(tx, UserId.parse(id)));
      requireMayMove(caller, account.id, credits, rules.supervisorCap);
      requireUsualTerms(caller, allocation.terms);
      const granted = refuseUngranted(await tx.grant({ ...grantOf(allocation, account.id), actor }), to);
      const expiresAt = granted.expiresAt?.toISOString() ?? null;
      return { id: granted.id, userId: account.id, email: account.email, remaining: granted.remaining, expiresAt };
    });
    const answer = await tellOverstepping(attempt, events, fact);
    if (!answer.replayed) events.moved({ kind: 'allocated', userId: answer.value.userId, credits, actor });
    return answer;
  };

function grantOf({ credits, expiryDays, terms, notes, requestId }: Allocation, userId: string) {
  const { period, source = 'admin', ...rest } = terms;
  const usual = terms.expiresAt === undefined ? USUAL_EXPIRY_DAYS : null;
  return {
    ...rest,
    userId,
    source,
    credits,
    expiryDays: expiryDays === undefined ? usual : expiryDays,
    // A refill is a lot of its own; it never replaces what is left of the one before.
    ...(period !== undefined && { grantKey: `plan:${userId}:${period}` }),
    requestId,
    reason: notes,
  };
}

function refuseUngranted(granted: Granted, to: string): Extract<Granted, { outcome: 'granted' }> {
  switch (granted.outcome) {
    case 'granted':
      return granted;
    case 'unknown':
      throw unknownUser(to);
    case 'too_much':
      throw new AppError('INVALID_AMOUNT', 'The balance would be larger than can be booked');
    case 'bad_term':
      throw new AppError('VALIDATION_FAILED', 'A lot ends after it begins and after now, within ten years');
    case 'duplicate':
      throw new AppError('ALREADY_GRANTED', `Allocation ${granted.id} is for this period`, {
        extra: { allocationId: granted.id },
      });
  }
}

const unknownUser = (name: string): AppError =>
  new AppError(
    'NOT_FOUND',
    name.includes('@') ? `User with email '${name}' not found. Cannot allocate credits.` : `User '${name}' not found`,
  );

/**
 * Whether an account lies outside of where the caller may act: for a supervisor there is nobody beyond the workspace of the
 * token. The caller is told what is told of an account that does not exist, the operator that somebody tried.
 */
export async function isOutOfReach(
  tx: Tx,
  caller: Person,
  accountId: string,
  { defaultWorkspaceId }: Rules,
): Promise<boolean> {
  const scope = scopeOf(caller, defaultWorkspaceId);
  return scope !== undefined && !(await tx.isWithin(accountId, scope));
}

/** The id of somebody who has not called yet; only where the installation opens accounts so. */
function idToOpen(name: string, { allocateOpensAccounts }: Rules): UserId {
  const id = UserId.safeParse(name);
  if (!allocateOpensAccounts || !id.success) throw unknownUser(name);
  return id.data;
}

async function newAccount(tx: Tx, id: UserId): Promise<Pick<Account, 'id' | 'email'>> {
  await tx.touch({ id });
  return { id, email: null };
}

function requireUsualTerms({ role }: Person, terms: LotTerms): void {
  if (role === 'admin' || Object.values(terms).every((term) => term === undefined)) return;
  throw new AppError('FORBIDDEN', 'Only an admin may choose the terms of a lot');
}

/**
 * An admin may move any amount; a supervisor up to a cap, and nothing on its own account or on a pool.
 * @throws AppError ALLOCATION_CAP_EXCEEDED
 */
export function requireMayMove(caller: Person, userId: string, credits: number, cap: number): void {
  if (caller.role === 'admin') return;
  if (userId === caller.userId) throw new AppError('ALLOCATION_CAP_EXCEEDED', 'You may not change your own credits');
  if (userId.startsWith(POOL))
    throw new AppError('ALLOCATION_CAP_EXCEEDED', 'Only an admin may change the credits of a workspace');
  if (credits > cap) throw new AppError('ALLOCATION_CAP_EXCEEDED', `You may move at most ${cap} credits at a time`);
}

/** An attempt beyond the role's powers is told, each time, although nothing came of it. */
export async function tellOverstepping<T>(
  attempt: Promise<T>,
  events: Ports['events'],
  fact: Parameters<Ports['events']['overstepped']>[0],
): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    if (error instanceof AppError && error.code === 'ALLOCATION_CAP_EXCEEDED') events.overstepped(fact);
    throw error;
  }
}
