import { AppError } from '@tollgate/http-kit';
import type { HoldId } from '../../domain/wire-types.ts';
import type { Accounting, Clock, IdempotencyKeys, Instances, Journal, KeyRow, Owner } from '../../ports.ts';
import type { Ask } from '../answers/prepare-ask.ts';

/** A request that came with an Idempotency-Key: the first with it, or one to be given the first one's answer. */
export interface Claim {
  readonly keyId: string;
  readonly requestId: HoldId;
  readonly isFirst: boolean;
}

export interface ClaimKeys {
  /** IDEMPOTENCY_IN_PROGRESS while the first runs, IDEMPOTENCY_KEY_REUSED when another request came with the key. */
  claim(owner: Owner, ask: Ask): Promise<Claim>;
  /** The request is over. One that never began leaves the key as if it had never been used. */
  conclude(claim: Claim, hasBegun: boolean): Promise<void>;
  /** Repeats what the database could not take. */
  tick(): Promise<void>;
}

export interface ClaimKeysDeps {
  readonly keys: IdempotencyKeys;
  readonly instances: Pick<Instances, 'isAlive'>;
  readonly accounting: Pick<Accounting, 'read' | 'bury'>;
  readonly journal: Pick<Journal, 'has'>;
  readonly clock: Clock;
  readonly newRequestId: () => HoldId;
  /** Of a text, in hexadecimal; nobody can tell the text from it. */
  readonly hash: (text: string) => string;
  /** Whether an answer is kept to its end, wherever it was given. */
  readonly isKept: (owner: Owner, requestId: HoldId) => Promise<boolean>;
  /** Whether this process has given the answer; its key may not say so yet. */
  readonly isGiven: (owner: Owner, requestId: HoldId) => boolean;
  readonly keptMs: number;
  /** No answer takes longer. */
  readonly longestAnswerMs: number;
}

const RETRY_AFTER_SECONDS = 1;
const MOST_UNCONCLUDED = 10_000;

type Found = Exclude<Awaited<ReturnType<IdempotencyKeys['claim']>>, 'claimed'>;

/** One effect for one key, whoever dies in between: the row that stands for the key names the answer before it begins. */
export function createClaimKeys(deps: ClaimKeysDeps): ClaimKeys {
  const { keys, clock, keptMs } = deps;
  const unconcluded = new Map<string, () => Promise<void>>();

  async function claim(owner: Owner, ask: Ask): Promise<Claim> {
    const now = clock.now();
    const row: KeyRow = {
      id: deps.hash(JSON.stringify([owner.userId, owner.workspaceId, ask.idempotencyKey])),
      // Together with the key, which is not written down: a short question could be guessed from a hash of it alone.
      fingerprint: deps.hash(JSON.stringify([ask.idempotencyKey, fingerprintOf(ask)])),
      requestId: deps.newRequestId(),
      createdAt: new Date(now),
      expiresAt: new Date(now + keptMs),
    };
    const found = await keys.claim(row, new Date(now));
    if (found === 'claimed') return { keyId: row.id, requestId: row.requestId, isFirst: true };
    if (found.fingerprint !== row.fingerprint) throw new AppError('IDEMPOTENCY_KEY_REUSED');
    const replay = { keyId: row.id, requestId: found.requestId, isFirst: false };
    if (found.state === 'done' || deps.isGiven(owner, found.requestId)) return replay;
    if (!(await isOrphaned(found, now))) throw inProgress();
    return (await isEffective(owner, found)) ? replay : takeOver(row, found);
  }

  async function isOrphaned({ instance, createdAt }: Found, now: number): Promise<boolean> {
    if (createdAt.getTime() + deps.longestAnswerMs < now) return true;
    return !(await deps.instances.isAlive(instance, new Date(now)));
  }

  /** Whether what a dead process has begun was charged, or is there to be read. */
  async function isEffective(owner: Owner, { requestId }: Found): Promise<boolean> {
    if (await deps.isKept(owner, requestId)) return true;
    // Looked at before the hold: what its lease has released may still be charged for the progress in the journal.
    const isOwed = await deps.journal.has(requestId);
    const hold = await deps.accounting.read(requestId, owner.userId).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    });
    // Its lease has not run out: how it ends is not known yet.
    if (hold?.status === 'active') throw inProgress();
    if (hold && 'chargedCredits' in hold && hold.chargedCredits > 0) return true;
    if (hold && isOwed) throw inProgress();
    if (hold) return false;
    await bury(owner, requestId);
    return false;
  }

  /** A hold that is still on its way will find itself closed; one that has arrived meanwhile is the answer's own. */
  async function bury(owner: Owner, requestId: HoldId): Promise<void> {
    await deps.accounting.bury(requestId, owner.userId).catch((error: unknown) => {
      const code = error instanceof AppError ? error.code : undefined;
      if (code === 'HOLD_ACTIVE') throw inProgress();
      if (code !== 'NOT_FOUND') throw error;
    });
  }

  async function takeOver(row: KeyRow, from: Found): Promise<Claim> {
    if (!(await keys.takeOver(row, from.requestId))) throw inProgress();
    return { keyId: row.id, requestId: row.requestId, isFirst: true };
  }

  return {
    claim,
    async conclude({ keyId, requestId }, hasBegun) {
      const write = () => (hasBegun ? keys.finish(keyId, requestId) : keys.release(keyId, requestId));
      await write().catch(() => {
        if (unconcluded.size < MOST_UNCONCLUDED) unconcluded.set(requestId, write);
      });
    },
    async tick() {
      for (const [requestId, write] of unconcluded) {
        await write();
        unconcluded.delete(requestId);
      }
    },
  };
}

const inProgress = (): AppError =>
  new AppError('IDEMPOTENCY_IN_PROGRESS', undefined, { headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } });

/** What was asked for, and nothing of how it was asked. */
function fingerprintOf(ask: Ask): string {
  const { idempotencyKey: _key, keepRunningSeconds: _grace, origin: _origin, clientHeaders: _headers, ...asked } = ask;
  return JSON.stringify(asked);
}
