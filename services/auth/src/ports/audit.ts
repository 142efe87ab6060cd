import type { AuditAnchor, AnchorKeys } from '../domain/audit-anchor.ts';
import type { AuditAction } from '../domain/audit-event.ts';
import type { AuditLine, ChainEnd, LineDraft, LineKeys } from '../domain/audit-line.ts';
import type { BreachName, BreachRule } from '../domain/breach-rules.ts';

/** What an administrator looks for; each field narrows. */
export type AuditFilter = Readonly<{
  chain?: string | undefined;
  action?: AuditAction | undefined;
  actorId?: string | undefined;
  targetId?: string | undefined;
  from?: Date | undefined;
  until?: Date | undefined;
}>;
/** The last line of the page before; pages go from new to old. */
export type AuditPosition = Readonly<{ at: Date; chain: string; seq: number }>;

/** A row as it was read: undefined when no line of ours looks like that. */
export type ReadLine = Readonly<{ id: string; line: AuditLine | undefined }>;

export type AuditLog = {
  /** Resolves when the line is stored for good. Never gives one place to two lines, also not across instances. */
  append(draft: LineDraft): Promise<void>;
  search(filter: AuditFilter, page: { after?: AuditPosition | undefined; limit: number }): Promise<AuditLine[]>;
  /** Names of the chains, in order. */
  chains(): Promise<string[]>;
  end(chain: string): Promise<ChainEnd>;
  /** Lines of a chain in order, from a number on. */
  lines(chain: string, page: { from: number; limit: number }): Promise<ReadLine[]>;
  /** Rows that belong to no chain: nothing of ours writes such. */
  strays(limit: number): Promise<string[]>;
  /** Of lines that should be there, the hashes of those that are, by chain and number. */
  hashesAt(places: readonly Omit<ChainEnd, 'hash'>[]): Promise<ChainEnd[]>;
  /** Ends of the chains that have lines from a moment on. */
  endsSince(since: Date | undefined, limit: number): Promise<ChainEnd[]>;
  /** Whoever broke a rule within its window until `now`. */
  breaches(rule: BreachRule, now: Date): Promise<readonly Readonly<{ about: string; count: number }>[]>;
};

export type AuditAnchors = {
  newest(): Promise<AuditAnchor | undefined>;
  /** False when another process took the anchor of this number. */
  append(anchor: AuditAnchor): Promise<boolean>;
  takenSince(since: Date): Promise<AuditAnchor[]>;
  /** In order, from a number on; undefined for a row that is no anchor. */
  list(page: {
    from: number;
    limit: number;
  }): Promise<readonly Readonly<{ number: number; anchor: AuditAnchor | undefined }>[]>;
};

export type Alerts = {
  /** Whether this process is to raise the alert: false while somebody did so a short time ago. */
  claim(key: string, now: Date, until: Date): Promise<boolean>;
  /** No other alert of this key before `until`. */
  silence(key: string, until: Date): Promise<void>;
};

/** Puts an anchor where the database does not reach. */
export type KeepAnchor = (anchor: AuditAnchor) => Promise<void>;

/** What is counted and logged, beside the lines. */
export type AuditNews = {
  tellAnchor(anchor: AuditAnchor): void;
  tellAlert(alert: { rule: BreachName; about: string; count: number }): void;
};

/** What proves and watches the log. */
export type AuditPorts = {
  auditLog: AuditLog;
  anchors: AuditAnchors;
  alerts: Alerts;
  lineKeys: LineKeys;
  anchorKeys: AnchorKeys;
  keepAnchor: KeepAnchor | undefined;
};
