import type { ErrorCode } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { fingerprintOf } from '../domain/fingerprint.ts';
import type { Ports, Tx } from '../ports.ts';

/** A request that must have one effect however often it arrives. */
export type OneTime = Readonly<{ caller: string; operation: string; key: string; content: unknown }>;
/** `replayed`: the answer of an earlier, equal request. */
export type Answered<T> = Readonly<{ value: T; replayed: boolean }>;

const REPLAYED = { 'idempotency-replayed': 'true' } as const;

type Refusal = Readonly<{ code: ErrorCode; detail?: string | undefined; extra?: Readonly<Record<string, unknown>> }>;
const MOST_PUBLIC_STATUS = 499;

/**
 * Runs `work` once for each key (IETF httpapi idempotency-key-header draft): the key, the effect and the answer are one
 * transaction. An equal request later gets the stored answer, a different one 422, one while the first runs 409.
 * A refusal is an answer too; what it had begun is undone. The value must be plain JSON.
 */
export const createOnce = ({ transaction }: Pick<Ports, 'transaction'>) =>
  async function once<T>(
    { caller, operation, key, content }: OneTime,
    work: (tx: Tx) => Promise<T>,
  ): Promise<Answered<T>> {
    const claim = { caller, operation, key, fingerprint: fingerprintOf(content) };
    const answer = await transaction(async (tx) => {
      const claimed = await tx.claimKey(claim);
      if (claimed === 'running')
        throw new AppError('IDEMPOTENCY_IN_PROGRESS', undefined, { headers: { 'retry-after': '1' } });
      if (claimed !== 'claimed') return { ...replay<T>(claimed, claim.fingerprint), replayed: true };
      const result = await settled(tx, work);
      const status = 'refusal' in result ? new AppError(result.refusal.code).status : 200;
      await tx.keepAnswer(claim, { status, body: result });
      return { ...result, replayed: false };
    });
    if ('value' in answer) return answer;
    const { code, detail, extra = {} } = answer.refusal;
    throw new AppError(code, detail, { extra, ...(answer.replayed && { headers: REPLAYED }) });
  };

export type Once = ReturnType<typeof createOnce>;

type Result<T> = { value: T } | { refusal: Refusal };

async function settled<T>(tx: Tx, work: (tx: Tx) => Promise<T>): Promise<Result<T>> {
  try {
    return { value: await tx.savepoint(() => work(tx)) };
  } catch (error) {
    if (!(error instanceof AppError) || error.status > MOST_PUBLIC_STATUS) throw error;
    return { refusal: { code: error.code, detail: error.detail, extra: error.extra } };
  }
}

function replay<T>(stored: { fingerprint: string; body: unknown }, fingerprint: string): Result<T> {
  if (stored.fingerprint !== fingerprint) throw new AppError('IDEMPOTENCY_KEY_REUSED');
  return stored.body as Result<T>; // written by the same operation, a few lines above
}
