import type { AnchorContent, AuditAnchor } from '../../domain/audit-anchor.ts';
import type { ChainEnd } from '../../domain/audit-line.ts';
import type { Ports } from '../../ports.ts';
import type { AuditNews, AuditPorts } from '../../ports/audit.ts';

type AnchorDeps = Pick<AuditPorts, 'auditLog' | 'anchors' | 'anchorKeys' | 'keepAnchor'> &
  Pick<Ports, 'clock'> & { events: Pick<AuditNews, 'tellAnchor'> };

const MOST_CHAINS = 1000;
/** Chains that are looked at for one anchor. */
const MOST_GROWN = 10_000;
/** Clocks of instances differ, and a line may wait for its place: so much earlier lines are looked at again. */
const OVERLAP_MS = 300_000;

/**
 * Signs where each chain ends that has grown since the last anchor, links the result to that anchor, and copies it to where
 * the database does not reach. True when there is more; nothing happens while the last anchor is younger than `youngestMs`.
 */
export const createTakeAnchor = ({ auditLog, anchors, anchorKeys, keepAnchor, clock, events }: AnchorDeps) =>
  async function takeAnchor({ youngestMs = 0 } = {}): Promise<boolean> {
    const now = clock.now();
    const last = await anchors.newest();
    // An anchor from the future was taken with a clock that is wrong; nobody waits for its time to come.
    const lastAt = last && Math.min(Date.parse(last.takenAt), now);
    if (lastAt !== undefined && lastAt < now && now - lastAt < youngestMs) return false;
    const grown = await grownSince(lastAt, { auditLog, anchors });
    if (grown.length === 0) return false;
    const anchor = anchorKeys.sign(contentOf(last, grown.slice(0, MOST_CHAINS), now));
    if (!(await anchors.append(anchor))) return false;
    // The log first: it cannot fail.
    events.tellAnchor(anchor);
    await keepAnchor?.(anchor);
    return grown.length > MOST_CHAINS;
  };

const contentOf = (last: AuditAnchor | undefined, chains: ChainEnd[], now: number): AnchorContent => ({
  number: (last?.number ?? 0) + 1,
  takenAt: new Date(now).toISOString(),
  previousHash: last?.hash ?? '',
  chains,
});

async function grownSince(
  lastAt: number | undefined,
  { auditLog, anchors }: Pick<AnchorDeps, 'auditLog' | 'anchors'>,
): Promise<ChainEnd[]> {
  if (lastAt === undefined) return auditLog.endsSince(undefined, MOST_GROWN);
  const since = new Date(lastAt - OVERLAP_MS);
  const [ends, recent] = await Promise.all([auditLog.endsSince(since, MOST_GROWN), anchors.takenSince(since)]);
  return beyond(
    ends,
    recent.flatMap(({ chains }) => chains),
  );
}

/** Ends that no anchor names yet. */
function beyond(ends: readonly ChainEnd[], anchored: readonly ChainEnd[]): ChainEnd[] {
  const known = new Map<string, number>();
  for (const { chain, seq } of anchored) known.set(chain, Math.max(seq, known.get(chain) ?? 0));
  return ends.filter(({ chain, seq }) => seq > (known.get(chain) ?? 0));
}
