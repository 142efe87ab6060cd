import { UserId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { actorOf, type Person } from '../domain/callers.ts';
import type { Account, Ports, Tx } from '../ports.ts';
import type { Answered, OneTime, Once } from './once.ts';

export type Allocation = Readonly<{
  /** Id, user name or e-mail address. */
  to: string;
  credits: number;
  expiryDays: number | null;
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

/** Grants credits as a new lot. A supervisor does so up to a cap and never to itself. */
export const createAllocateCredits = ({ events, rules, once }: Deps) =>
  async function allocateCredits(
    caller: Person,
    request: OneTime,
    allocation: Allocation,
  ): Promise<Answered<Allocated>> {
    const { to, credits, expiryDays, notes, requestId } = allocation;
    const actor = actorOf(caller);
    const answer = await once(request, async (tx) => {
      const account = (await tx.findAccount(to)) ?? (await newAccount(tx, to, rules.allocateOpensAccounts));
      requireMayMove(caller, account.id, credits, rules.supervisorCap);
      const granted = await tx.grant({
        userId: account.id,
        source: 'admin',
        credits,
        expiryDays,
        actor,
        requestId,
        reason: notes,
      });
      if (granted.outcome === 'unknown') throw unknownUser(to);
      if (granted.outcome === 'too_much')
        throw new AppError('INVALID_AMOUNT', 'The balance would be larger than can be booked');
      const expiresAt = granted.expiresAt?.toISOString() ?? null;
      return { id: granted.id, userId: account.id, email: account.email, remaining: granted.remaining, expiresAt };
    });
    if (!answer.replayed) events.moved({ kind: 'allocated', userId: answer.value.userId, credits, actor });
    return answer;
  };

const unknownUser = (name: string): AppError =>
  new AppError(
    'NOT_FOUND',
    name.includes('@') ? `User with email '${name}' not found. Cannot allocate credits.` : `User '${name}' not found`,
  );

async function newAccount(tx: Tx, name: string, mayOpen: boolean): Promise<Pick<Account, 'id' | 'email'>> {
  const id = UserId.safeParse(name);
  if (!mayOpen || !id.success) throw unknownUser(name);
  await tx.touch({ id: id.data });
  return { id: id.data, email: null };
}

/**
 * An admin may move any amount; a supervisor up to a cap, and nothing on its own account.
 * @throws AppError ALLOCATION_CAP_EXCEEDED
 */
export function requireMayMove(caller: Person, userId: string, credits: number, cap: number): void {
  if (caller.role === 'admin') return;
  if (userId === caller.userId) throw new AppError('ALLOCATION_CAP_EXCEEDED', 'You may not change your own credits');
  if (credits > cap) throw new AppError('ALLOCATION_CAP_EXCEEDED', `You may move at most ${cap} credits at a time`);
}
