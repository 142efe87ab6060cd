import type { AnchorContent } from '../../domain/audit-anchor.ts';
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
    const lastMs = last && Date.parse(last.takenAt);
    if (lastMs !== undefined && now - lastMs < youngestMs) return false;
    const since = lastMs === undefined ? undefined : new Date(lastMs - OVERLAP_MS);
    const ends = await auditLog.endsSince(since, MOST_GROWN);
    const grown = beyond(ends, since ? (await anchors.takenSince(since)).flatMap(({ chains }) => chains) : []);
    if (grown.length === 0) return false;
    const content: AnchorContent = {
      number: (last?.number ?? 0) + 1,
      takenAt: new Date(now).toISOString(),
      previousHash: last?.hash ?? '',
      chains: grown.slice(0, MOST_CHAINS),
    };
    const anchor = anchorKeys.sign(content);
    if (!(await anchors.append(anchor))) return false;
    // The log first: it cannot fail.
    events.tellAnchor(anchor);
    await keepAnchor?.(anchor);
    return grown.length > MOST_CHAINS;
  };

/** Ends that no anchor names yet. */
function beyond(ends: readonly ChainEnd[], anchored: readonly ChainEnd[]): ChainEnd[] {
  const known = new Map<string, number>();
  for (const { chain, seq } of anchored) known.set(chain, Math.max(seq, known.get(chain) ?? 0));
  return ends.filter(({ chain, seq }) => seq > (known.get(chain) ?? 0));
}
