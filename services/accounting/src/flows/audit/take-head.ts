import { type HeadContent, rootOf } from '../../domain/ledger-head.ts';
import type { ChangedHeads, Ports } from '../../ports.ts';

type Deps = Pick<Ports, 'heads' | 'headKeys' | 'keepHead' | 'announce' | 'events'>;

/**
 * Signs the accounts that have changed since the last head, links the result to that head, and copies it to where the database does
 * not reach. True when there may be more; nothing happens while the last head is younger than `youngestMs`.
 */
export const createTakeHead = ({ heads, headKeys, keepHead, announce, events }: Deps) =>
  async function takeHead({ youngestMs = 0 } = {}): Promise<boolean> {
    if (!headKeys) return false;
    const changed = await heads.changed(youngestMs);
    if (!changed || changed.leaves.length === 0) return false;
    const head = headKeys.sign(contentOf(changed));
    if (!(await heads.append(head, changed.leaves, changed.watermark))) return false;
    // The log first: it cannot fail.
    events.headTaken(head);
    await announce?.announceHead(head);
    await keepHead?.(head);
    return changed.hasMore;
  };

const contentOf = ({ last, leaves, transactions, takenAt }: ChangedHeads): HeadContent => ({
  number: (last?.number ?? 0) + 1,
  takenAt: takenAt.toISOString(),
  previousHash: last?.hash ?? '',
  root: rootOf(leaves),
  accounts: leaves.length,
  transactions,
});

/** Signed heads, newest first, and the keys to check them with. */
export const createListHeads = ({ heads, headKeys }: Pick<Ports, 'heads' | 'headKeys'>) =>
  async function listHeads(page: { limit: number; after?: number | undefined }) {
    return { heads: await heads.list(page), keys: [...(headKeys?.publicKeys ?? [])] };
  };
