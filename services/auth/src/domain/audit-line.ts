import { createHmac, timingSafeEqual } from 'node:crypto';
import { type AuditAction, type AuditFacts, type Origin, printable } from './audit-event.ts';

/** What a line says, before it has a place in its chain. */
export type LineDraft = Readonly<{
  /** One line for one event, however often the event is reported. */
  eventId: string;
  /** The workspace whose chain it belongs to. */
  chain: string;
  at: Date;
  action: AuditAction;
  /** Who wrote it: `auth`, or the service that reported it. */
  service: string;
  /** A user's id, or `service:<name>`. */
  actorId?: string;
  targetId?: string;
  ip?: string;
  userAgent?: string;
  requestId?: string;
  facts: AuditFacts;
}>;

/** One line of the audit log: number `seq` of its chain, bound to the line before it. Hashes are hex. */
export type AuditLine = LineDraft &
  Readonly<{
    seq: number;
    previousHash: string;
    keyId: string /** HMAC-SHA-256 over all of the others. */;
    hash: string;
  }>;

/** Where a chain ends; a new one ends at 0. */
export type ChainEnd = Pick<AuditLine, 'chain' | 'seq' | 'hash'>;

export const beginningOf = (chain: string): ChainEnd => ({ chain, seq: 0, hash: '' });

export type LineFault = 'gap' | 'repeated' | 'order' | 'edited' | 'unknown key' | 'unreadable';

export type LineKeys = Readonly<{
  /** Gives drafts of one chain their places after its end. */
  seal(drafts: readonly LineDraft[], end: ChainEnd): AuditLine[];
  /** Why a line does not follow the one before it, if so. `before` undefined: where the check begins is not judged. */
  faultOf(line: AuditLine, before: ChainEnd | undefined): LineFault | undefined;
}>;

/** Keys of the chains, the current one first; a key that lines were written with stays in the ring. */
export function createLineKeys(ring: readonly Readonly<{ kid: string; secret: { reveal(): string } }>[]): LineKeys {
  const [current] = ring;
  if (!current) throw new RangeError('an audit line needs a key');
  const secrets = new Map(ring.map(({ kid, secret }) => [kid, secret.reveal()]));
  return {
    seal(drafts, end) {
      let last = end;
      return drafts.map((draft) => {
        const content = { ...draft, seq: last.seq + 1, previousHash: last.hash, keyId: current.kid };
        const line = { ...content, hash: hashOf(content, current.secret.reveal()) };
        last = line;
        return line;
      });
    },
    faultOf(line, before) {
      if (before && line.seq <= before.seq) return 'repeated';
      if (before && line.seq !== before.seq + 1) return 'gap';
      const secret = secrets.get(line.keyId);
      if (secret === undefined) return 'unknown key';
      if (!isEqual(line.hash, hashOf(line, secret))) return 'edited';
      return before && line.previousHash !== before.hash ? 'order' : undefined;
    },
  };
}

/** The one spelling of a line. */
const textOf = (line: Omit<AuditLine, 'hash'>): string =>
  JSON.stringify([
    'tollgate-audit-line/1',
    line.chain,
    line.seq,
    line.eventId,
    line.at.toISOString(),
    line.action,
    line.service,
    line.actorId ?? null,
    line.targetId ?? null,
    line.ip ?? null,
    line.userAgent ?? null,
    line.requestId ?? null,
    Object.entries(line.facts).sort(([one], [other]) => (one < other ? -1 : 1)),
    line.previousHash,
    line.keyId,
  ]);

const hashOf = (line: Omit<AuditLine, 'hash'>, secret: string): string =>
  createHmac('sha256', secret).update(textOf(line)).digest('hex');

function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

const LONGEST_ID = 128;
const LONGEST_USER_AGENT = 256;

/** Where a request came from, as a line holds it. */
export const originFields = ({ ip, userAgent, requestId }: Origin) => ({
  ...(ip !== '' && { ip: printable(ip, LONGEST_ID) }),
  ...(userAgent !== '' && { userAgent: printable(userAgent, LONGEST_USER_AGENT) }),
  ...(requestId !== '' && { requestId: printable(requestId, LONGEST_ID) }),
});
