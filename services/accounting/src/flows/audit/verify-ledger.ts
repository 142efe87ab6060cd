import { faultOfHead, type HeadFault, type HeadKeys, type SignedHead } from '../../domain/ledger-head.ts';
import type { AuditScope, LedgerCheck, LedgerHeads, Ports } from '../../ports.ts';

type Deps = Pick<Ports, 'audit' | 'heads' | 'headKeys'>;
export type Verification = Readonly<{ ok: boolean; checkedAt: Date; checks: LedgerCheck[] }>;

/** A caller waits for an answer: longer than this for one invariant is answered as if the database were away. */
const PATIENCE_MS = 20_000;
/** More than a day of heads; the command replays them all. */
const RECENT_HEADS = 2000;

/** Checks the books against each other, and the signed heads against the books. */
export const createVerifyLedger = ({ audit, heads, headKeys }: Deps) =>
  async function verifyLedger({
    userId,
    isUnhurried = false,
  }: AuditScope & { isUnhurried?: boolean } = {}): Promise<Verification> {
    const { checkedAt, checks } = await audit.verify({ userId }, isUnhurried ? undefined : PATIENCE_MS);
    if (headKeys && userId === undefined) {
      const newest = await heads.newest();
      checks.push(await replayHeads(heads, headKeys, isUnhurried ? 1 : Math.max(1, newest - RECENT_HEADS + 1)));
    }
    return { ok: checks.every(({ offenders }) => offenders === 0), checkedAt, checks };
  };

const HEADS_AT_ONCE = 200;

/** Follows the chain of heads upwards: no gap, each names the one before it, is signed, and has the root of its leaves. */
async function replayHeads(heads: LedgerHeads, keys: HeadKeys, from: number): Promise<LedgerCheck> {
  const faults: HeadFault[] = [];
  let before: SignedHead | undefined;
  for (let next = from; ; ) {
    const page = await heads.withLeaves(next, HEADS_AT_ONCE);
    if (before === undefined && from === 1 && page[0] && page[0].head.number !== 1)
      faults.push({ number: page[0].head.number, fault: 'gap' });
    for (const { head, leaves } of page) {
      const fault = faultOfHead(head, leaves, { before, keys });
      if (fault) faults.push(fault);
      before = head;
      next = head.number + 1;
    }
    if (page.length < HEADS_AT_ONCE) break;
  }
  const title = 'The signed heads are one unbroken chain';
  return { invariant: 'I9', title, offenders: faults.length, first: faults[0] ?? null };
}

const COMPARED_LINES = 1000;

/**
 * Whether heads that were kept outside of the database are in it: the last thousand, and every one signed by us. Shows heads that
 * were cut off or rewritten together with the ledger.
 */
export const createCompareHeads = ({ heads, headKeys }: Pick<Ports, 'heads' | 'headKeys'>) =>
  async function compareHeads(kept: readonly SignedHead[]): Promise<LedgerCheck> {
    const faults: { number: number; fault: 'signature' | 'missing' | 'rewritten' }[] = [];
    for (const head of kept.slice(-COMPARED_LINES)) {
      const [stored] = await heads.list({ limit: 1, after: head.number + 1 });
      if (!headKeys?.isSigned(head)) faults.push({ number: head.number, fault: 'signature' });
      else if (stored?.number !== head.number) faults.push({ number: head.number, fault: 'missing' });
      else if (stored.hash !== head.hash) faults.push({ number: head.number, fault: 'rewritten' });
    }
    const title = 'The heads that were kept outside are in the database';
    return { invariant: 'I9', title, offenders: faults.length, first: faults[0] ?? null };
  };
