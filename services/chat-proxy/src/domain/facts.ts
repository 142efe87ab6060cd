import type { MessageStatus } from './answer.ts';
import type { FileId, HoldId, SessionId, UserId } from './wire-types.ts';

type Owned = Readonly<{ holdId: HoldId; userId: UserId }>;

/** What goes on beside the requests. */
export const BACKGROUND_TASKS = [
  'renew',
  'checkpoint',
  'leftovers',
  'forget',
  'abandoned',
  'retention',
  'erasures',
  'messages',
  'revocations',
  'sync',
  'reports',
  'strikes',
  'beat',
  'listen',
  'share',
  'journal',
  'files',
  'measure',
] as const;

/** Accounting has closed the hold, or has never heard of it, or has not yet been told how it ended. */
export const JOURNAL_DRIFTS = ['closed', 'unknown', 'owed'] as const;
export type JournalDrift = (typeof JOURNAL_DRIFTS)[number];

/** What is told to log and metrics: one name per business fact, with what belongs to it. events.ts says what each means. */
export type Facts = Readonly<{
  chat_finished: Owned &
    Readonly<{
      upstream: string;
      outcome: MessageStatus;
      chatflowId: string;
      outputTokens: number;
      code: string | undefined;
    }>;
  hold_closed: Owned & Readonly<{ how: 'settled' | 'voided' | 'unknown'; chargedCredits: number; attempts: number }>;
  hold_left_over: Owned & Readonly<{ reason: string }>;
  hold_parked: Owned & Readonly<{ reason: string }>;
  hold_recovered: Owned & Readonly<{ how: 'settle' | 'void' | 'strike' | 'bury' }>;
  journal_drift: Owned & Readonly<{ how: JournalDrift }>;
  hold_lost: Readonly<{ holdId: HoldId; how: 'closed' | 'fenced' | 'unknown' | 'stopped' }>;
  access_ended: Owned & Readonly<{ reason: string }>;
  answer_overdue: Owned;
  answer_unread: Owned & Readonly<{ strikes: number }>;
  renewal_too_slow: Readonly<{ leaseMs: number; renewEveryMs: number }>;
  usage_not_believed: Readonly<{ holdId: HoldId; upstream: string }>;
  message_lost: Readonly<{ sessionId: SessionId; holdId: HoldId }>;
  upstream_paused: Readonly<{ upstream: string }>;
  upstream_replaced: Readonly<{ holdId: HoldId; upstream: string; by: string }>;
  upstream_abandoned: Readonly<{ upstream: string; chatflowId: string }>;
  upstream_not_told: Readonly<{ of: 'feedback' | 'lead'; chatflowId: string; reason: string }>;
  file_not_kept: Readonly<{ fileId: FileId; userId: UserId; reason: string }>;
  chatflows_synchronised: Readonly<{
    outcome: 'done' | 'refused' | 'failed';
    created: number;
    updated: number;
    deleted: number;
    errors: number;
  }>;
  limit_unshared: Readonly<{ of: 'rate' | 'slots' }>;
  reports_dropped: Readonly<{ count: number }>;
  background_failed: Readonly<{
    task: (typeof BACKGROUND_TASKS)[number];
    reason: string;
  }>;
}>;

/** Tells one fact; never throws. */
export type Tell = <Name extends keyof Facts>(name: Name, fact: Facts[Name]) => void;
