import type { AuditAnchor, AnchorFault } from '../../domain/audit-anchor.ts';
import { beginningOf, type ChainEnd, type LineFault } from '../../domain/audit-line.ts';
import type { Ports } from '../../ports.ts';
import type { AuditPorts } from '../../ports/audit.ts';

type VerifyDeps = Pick<AuditPorts, 'auditLog' | 'anchors' | 'lineKeys' | 'anchorKeys'> & Pick<Ports, 'clock'>;

export type AuditFault =
  | Readonly<{ what: 'line'; fault: LineFault; chain: string; seq?: number; row: string }>
  | Readonly<{ what: 'line'; fault: 'cut off' | 'missing' | 'rewritten'; chain: string; seq: number; anchor: number }>
  | Readonly<{ what: 'stray'; fault: 'belongs to no chain'; row: string }>
  | Readonly<{ what: 'anchor'; fault: AnchorFault | 'missing' | 'rewritten'; anchor: number }>;

export type AuditReport = Readonly<{
  ok: boolean;
  checkedAt: Date;
  /** False when older lines or anchors were passed over, for somebody who waits for the answer. */
  isComplete: boolean;
  chains: number;
  lines: number;
  anchors: number;
  offenders: number;
  /** The first offending rows. */
  faults: readonly AuditFault[];
}>;

export type AuditScope = Readonly<{
  /** One chain only, and the anchors of it. */
  chain?: string | undefined;
  /** The newest lines of each chain; all when absent. */
  mostLines?: number;
  /** Anchors that were kept outside of the database. */
  kept?: readonly AuditAnchor[] | undefined;
}>;

const PAGE = 500;
const ANCHORS_AT_ONCE = 100;
const MOST_SHOWN = 20;

type Findings = {
  chains: number;
  lines: number;
  anchors: number;
  offenders: number;
  isComplete: boolean;
  shown: AuditFault[];
};

/**
 * Reads the log as it is stored and tells what is not as it was written: lines that were changed, put in, moved or taken
 * out, an end that was cut off, and anchors that are gone.
 */
export const createVerifyAudit = (deps: VerifyDeps) =>
  async function verifyAudit(scope: AuditScope = {}): Promise<AuditReport> {
    const found: Findings = { chains: 0, lines: 0, anchors: 0, offenders: 0, isComplete: true, shown: [] };
    const chains = scope.chain === undefined ? await deps.auditLog.chains() : [scope.chain];
    for (const chain of chains) await walkChain(deps, chain, scope, found);
    if (scope.chain === undefined)
      for (const row of await deps.auditLog.strays(MOST_SHOWN))
        note(found, { what: 'stray', fault: 'belongs to no chain', row });
    await walkAnchors(deps, scope, found);
    if (scope.kept) await compareKept(deps, scope.kept, found);
    const { shown: faults, ...counts } = found;
    return { ok: found.offenders === 0, checkedAt: new Date(deps.clock.now()), ...counts, faults };
  };

function note(found: Findings, fault: AuditFault): void {
  found.offenders += 1;
  if (found.shown.length < MOST_SHOWN) found.shown.push(fault);
}

async function walkChain(
  { auditLog, lineKeys }: VerifyDeps,
  chain: string,
  { mostLines }: AuditScope,
  found: Findings,
) {
  const end = await auditLog.end(chain);
  const first = mostLines === undefined ? 1 : Math.max(1, end.seq - mostLines + 1);
  if (first > 1) found.isComplete = false;
  found.chains += 1;
  let before: ChainEnd | undefined = first > 1 ? undefined : beginningOf(chain);
  for (let from = first; ; ) {
    const page = await auditLog.lines(chain, { from, limit: PAGE });
    for (const { id, line } of page) {
      const fault = line ? lineKeys.faultOf(line, before) : 'unreadable';
      if (fault) note(found, { what: 'line', fault, chain, row: id, ...(line && { seq: line.seq }) });
      before = line;
      if (line) from = line.seq + 1;
    }
    found.lines += page.length;
    // A page of rows that nobody can read does not lead on.
    if (page.length < PAGE || !page.some(({ line }) => line)) return;
  }
}

/** Anchors are one unbroken signed chain, and each line they name is where it was. */
async function walkAnchors(
  { auditLog, anchors, anchorKeys }: VerifyDeps,
  { chain, mostLines }: AuditScope,
  found: Findings,
) {
  const newest = (await anchors.newest())?.number ?? 0;
  const first = mostLines === undefined ? 1 : Math.max(1, newest - mostLines + 1);
  if (first > 1) found.isComplete = false;
  let before: Pick<AuditAnchor, 'number' | 'hash'> | undefined = first > 1 ? undefined : { number: 0, hash: '' };
  for (let from = first; ; ) {
    const page = await anchors.list({ from, limit: ANCHORS_AT_ONCE });
    for (const { number, anchor } of page) {
      const fault = anchor ? anchorKeys.faultOf(anchor, before) : 'unreadable';
      if (fault) note(found, { what: 'anchor', fault, anchor: number });
      before = anchor ?? { number, hash: '' };
      from = number + 1;
    }
    found.anchors += page.length;
    const sound = page.flatMap(({ anchor }) => (anchor && anchorKeys.isSigned(anchor) ? [anchor] : []));
    await compareLines(auditLog, sound, { chain, found });
    if (page.length < ANCHORS_AT_ONCE) return;
  }
}

async function compareLines(
  auditLog: VerifyDeps['auditLog'],
  anchors: readonly AuditAnchor[],
  { chain, found }: { chain: string | undefined; found: Findings },
): Promise<void> {
  const named = anchors.flatMap(({ number, chains }) =>
    chains.filter((end) => chain === undefined || end.chain === chain).map((end) => ({ ...end, anchor: number })),
  );
  const nameOf = (place: Omit<ChainEnd, 'hash'>): string => `${place.chain}:${place.seq}`;
  const stored = new Map<string, string>();
  for (let at = 0; at < named.length; at += PAGE)
    for (const end of await auditLog.hashesAt(named.slice(at, at + PAGE))) stored.set(nameOf(end), end.hash);
  for (const { anchor, hash, ...place } of named) {
    const present = stored.get(nameOf(place));
    if (present === hash) continue;
    const isBeyond = present === undefined && (await auditLog.end(place.chain)).seq < place.seq;
    note(found, { what: 'line', fault: present ? 'rewritten' : isBeyond ? 'cut off' : 'missing', ...place, anchor });
  }
}

/** Shows anchors that were cut off or rewritten together with the log. */
async function compareKept(
  { anchors, anchorKeys }: VerifyDeps,
  kept: readonly AuditAnchor[],
  found: Findings,
): Promise<void> {
  for (const anchor of kept) {
    const [row] = await anchors.list({ from: anchor.number, limit: 1 });
    const stored = row?.number === anchor.number ? row.anchor : undefined;
    if (!anchorKeys.isSigned(anchor)) note(found, { what: 'anchor', fault: 'signature', anchor: anchor.number });
    else if (!stored) note(found, { what: 'anchor', fault: 'missing', anchor: anchor.number });
    else if (stored.hash !== anchor.hash) note(found, { what: 'anchor', fault: 'rewritten', anchor: anchor.number });
  }
}
