import { randomUUID } from 'node:crypto';
import { AppError } from '@tollgate/http-kit';
import { actorOf, claimsOf, type Person } from '../domain/callers.ts';
import { fingerprintOf } from '../domain/fingerprint.ts';
import type { Ports } from '../ports.ts';
import type { Call } from './hold-credits.ts';
import type { Answered } from './once.ts';
import { refusalOf } from './refuse-hold.ts';

type Deduction = Readonly<{ credits: number; reason?: string | undefined }>;
type Deps = Pick<Ports, 'holds' | 'events' | 'rules'>;

/**
 * Spends credits of the caller's own account at once: a hold and its settlement in one transaction, all or nothing.
 * The hold remembers its key, so that a repetition gets the first answer for ever.
 */
export const createDeductCredits = ({ holds, events, rules }: Deps) =>
  async function deductCredits(
    caller: Person,
    deduction: Deduction,
    { key, requestId }: Call,
  ): Promise<Answered<number>> {
    const { credits, reason } = deduction;
    const actor = actorOf(caller);
    const deducted = await holds.deduct(
      {
        holdId: randomUUID(),
        claims: claimsOf(caller),
        openedBy: 'user',
        key: `deduct:${key}`,
        fingerprint: fingerprintOf(deduction),
        workspaceId: caller.workspaceId,
        units: { request: credits },
        leaseSeconds: rules.leaseSeconds,
        actor,
        requestId,
        reason,
      },
      credits,
    );
    if (deducted.outcome === 'short' || deducted.outcome === 'limited' || deducted.outcome === 'blocked')
      throw refusalOf({ events }, caller.userId, deducted);
    if (deducted.outcome !== 'done' && deducted.outcome !== 'same') throw new AppError('IDEMPOTENCY_KEY_REUSED');
    const replayed = deducted.outcome === 'same';
    if (!replayed) events.moved({ kind: 'deducted', userId: caller.userId, credits, actor });
    return { value: deducted.available, replayed };
  };
