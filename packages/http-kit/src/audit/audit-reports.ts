import { randomUUID } from 'node:crypto';
import { type auth, UserId, wireCode } from '@tollgate/contracts';
import { AppError } from '../app-error.ts';
import { createRounds } from '../rounds.ts';
import type { Refusal } from '../server/refusal.ts';

export interface AuditReports {
  /** Takes a report over. Never throws and never waits. */
  add(report: auth.NewAuditReport): void;
  /** For `ServiceOptions.refused`. */
  refused(refusal: Refusal): void;
  /** Reports that are still to be sent. */
  readonly waiting: number;
  start(): void;
  /** Sends what is left, once. */
  close(): Promise<void>;
}

export interface AuditReportOptions {
  readonly send: (batch: readonly auth.AuditReport[]) => Promise<void>;
  /** Told how many were thrown away, because too many wait. */
  readonly dropped: (count: number) => void;
  /** Told about a batch that could not be sent; it is tried again. */
  readonly failed: (error: unknown) => void;
  /** Milliseconds; a second when absent. */
  readonly everyMs?: number;
}

const SERVER_FAULT = 500;
const EVERY_MS = 1000;
const MOST_AT_ONCE = 100;
const MOST_WAITING = 1000;
/** The contract's limit for one report; a larger number would be refused, and others with it. */
const MOST_COUNTED = 1_000_000;

/**
 * Brings what happens in a service to the audit log, in batches beside the requests: at most a second old, at most a thousand
 * waiting. Refusals of one user that say the same become one report with a count. While auth is away they wait; what is too
 * many is dropped and counted.
 */
export function createAuditReports({ send, dropped, failed, everyMs = EVERY_MS }: AuditReportOptions): AuditReports {
  let waiting = new Map<string, auth.AuditReport>();

  function add(report: auth.NewAuditReport): void {
    const whole = { ...report, eventId: randomUUID() };
    const key = sameness(whole);
    const kept = waiting.get(key);
    if (kept) waiting.set(key, together(kept, whole));
    else if (waiting.size < MOST_WAITING) waiting.set(key, whole);
    else dropped(1);
  }

  async function sendSome(): Promise<boolean> {
    const batch = [...waiting].slice(0, MOST_AT_ONCE);
    if (batch.length === 0) return false;
    for (const [key] of batch) waiting.delete(key);
    const reports = batch.map(([, report]) => report);
    try {
      await send(reports);
    } catch (error) {
      if (isForEver(error)) dropped(reports.length);
      else giveBack(reports);
      throw error;
    }
    return waiting.size > 0;
  }

  /** Before what came meanwhile, and never counted up again: they may have arrived, and must be the same when they are repeated. */
  function giveBack(reports: readonly auth.AuditReport[]): void {
    const sent = reports.map((report): [string, auth.AuditReport] => [report.eventId, report]);
    const all = [...sent, ...waiting];
    waiting = new Map(all.slice(0, MOST_WAITING));
    if (all.length > MOST_WAITING) dropped(all.length - MOST_WAITING);
  }

  const rounds = createRounds(sendSome, { everyMs, failed });
  return {
    add,
    refused: ({ code, operation, userId, service, ...source }) =>
      add({
        action: 'access.refused',
        ...source,
        // Who it was in the end: a user, or a service that acted for none.
        ...(userId !== undefined && { actorId: UserId.parse(userId) }),
        facts: {
          code: wireCode(code),
          operation: service === undefined ? operation : `${operation}.${service}`,
          count: 1,
        },
      }),
    get waiting() {
      return waiting.size;
    },
    start: () => rounds.start(),
    async close() {
      await rounds.close();
      for (let hasMore = true; hasMore; ) hasMore = await sendSome().catch(() => false);
    },
  };
}

/** What auth refuses it will always refuse, unless it only has too much to do. */
const isForEver = (error: unknown): boolean =>
  error instanceof AppError && error.status < SERVER_FAULT && error.code !== 'RATE_LIMITED';

function sameness(report: auth.AuditReport): string {
  if (report.action !== 'access.refused') return report.eventId;
  const { actorId, workspaceId, facts } = report;
  return [actorId, workspaceId, facts.code, facts.operation].join(' ');
}

function together(kept: auth.AuditReport, other: auth.AuditReport): auth.AuditReport {
  if (kept.action !== 'access.refused' || other.action !== 'access.refused') return kept;
  const count = Math.min(kept.facts.count + other.facts.count, MOST_COUNTED);
  return { ...kept, facts: { ...kept.facts, count } };
}
