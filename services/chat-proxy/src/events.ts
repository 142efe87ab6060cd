import { createEvents, type EventDefinition, type Logger, type Metrics } from '@tollgate/telemetry';
import { BACKGROUND_TASKS, type Facts, JOURNAL_DRIFTS, type Tell } from './domain/facts.ts';

type Definitions = {
  readonly [Name in keyof Facts]: EventDefinition & { readonly fields?: readonly (keyof Facts[Name])[] };
};

/** Names that the operator has given to AI servers. */
const UPSTREAM = { atMost: 100 };
const OUTCOME = ['completed', 'failed', 'aborted'] as const;

/** Every business fact of this service: one log line and one counter each. */
const EVENTS = {
  chat_finished: {
    help: 'Answers that reached an upstream',
    labels: { upstream: UPSTREAM, outcome: OUTCOME },
    fields: ['holdId', 'userId', 'chatflowId', 'outputTokens', 'code'],
  },
  hold_closed: {
    help: 'Holds that accounting has acknowledged as closed',
    labels: { how: ['settled', 'voided', 'unknown'] },
    fields: ['holdId', 'userId', 'chargedCredits', 'attempts'],
  },
  hold_left_over: {
    help: 'Holds that could not be closed at the first attempt',
    fields: ['holdId', 'userId', 'reason'],
    level: 'warn',
  },
  hold_parked: {
    help: 'Holds whose end accounting refuses; they are repeated hourly, and somebody should look at them',
    fields: ['holdId', 'userId', 'reason'],
    level: 'error',
  },
  hold_recovered: {
    help: 'Journal rows of silent owners that were brought to an end; strike: the hold had been closed already',
    labels: { how: ['settle', 'void', 'strike', 'bury'] },
    fields: ['holdId', 'userId'],
    level: 'warn',
  },
  journal_drift: {
    help: 'Journal rows that nobody brings to an end although accounting has closed the hold (closed), does not know it (unknown), or waits for its end (owed)',
    labels: { how: JOURNAL_DRIFTS },
    fields: ['holdId', 'userId'],
    level: 'error',
  },
  hold_lost: {
    help: 'Running answers that were ended because their hold was closed elsewhere, or (stopped) because who pays was disabled',
    labels: { how: ['closed', 'fenced', 'unknown', 'stopped'] },
    fields: ['holdId'],
    level: 'warn',
  },
  access_ended: {
    help: 'Running answers that were ended because the token they were begun with was revoked',
    fields: ['holdId', 'userId', 'reason'],
  },
  upstream_not_told: {
    help: 'Ratings and leads that are kept here and could not be passed on to Flowise',
    labels: { of: ['feedback', 'lead'] },
    fields: ['chatflowId', 'reason'],
    level: 'warn',
  },
  answer_overdue: {
    help: 'Answers that had outlived every limit and were ended from outside',
    fields: ['holdId', 'userId'],
    level: 'warn',
  },
  answer_unread: {
    help: 'Answers that were left before their first token, which costs nothing; strikes: by this user in the present window',
    fields: ['holdId', 'userId', 'strikes'],
  },
  renewal_too_slow: {
    help: 'HOLD_RENEW_INTERVAL is more than half of the lease that accounting grants',
    fields: ['leaseMs', 'renewEveryMs'],
    level: 'error',
  },
  usage_not_believed: {
    help: 'Answers whose upstream reported impossible usage; our own count was charged',
    // The server is no label: an alert would not see the first event of one.
    fields: ['holdId', 'upstream'],
    level: 'warn',
  },
  message_lost: {
    help: 'Messages that could not be saved and were given up',
    fields: ['sessionId', 'holdId'],
    level: 'error',
  },
  upstream_paused: {
    help: 'AI servers that are not asked for a while, because they have failed several times in a row',
    labels: { upstream: UPSTREAM },
    level: 'warn',
  },
  upstream_replaced: {
    help: 'Questions that were put to another AI server, because the first had failed before it answered',
    labels: { upstream: UPSTREAM, by: UPSTREAM },
    fields: ['holdId'],
    level: 'warn',
  },
  file_not_kept: {
    help: 'Files of a question that could not be stored; the question was answered all the same',
    fields: ['fileId', 'userId', 'reason'],
    level: 'error',
  },
  upstream_abandoned: {
    help: 'Answers that were stopped before the upstream had finished',
    labels: { upstream: UPSTREAM },
    fields: ['chatflowId'],
  },
  chatflows_synchronised: {
    help: 'Synchronisations of the chatflow list',
    labels: { outcome: ['done', 'refused', 'failed'] },
    fields: ['created', 'updated', 'deleted', 'errors'],
  },
  limit_unshared: {
    help: 'Limits of requests, or of answers at a time (slots), that a process counted for itself, because the database could not be asked',
    labels: { of: ['rate', 'slots'] },
    level: 'warn',
  },
  reports_dropped: {
    help: 'Refusals that auth was not told, because too many waited',
    fields: ['count'],
    level: 'error',
  },
  background_failed: {
    help: 'Turns of a background task that failed and will be repeated',
    labels: {
      task: BACKGROUND_TASKS,
    },
    fields: ['reason'],
    level: 'warn',
  },
} as const satisfies Definitions;

/** Log and metrics behind one function. */
export function createTell(logger: Logger, metrics: Metrics): Tell {
  const emit = createEvents<Definitions>(logger, metrics, EVENTS);
  const charged = metrics.counter({
    name: 'tollgate_credits_charged_total',
    help: 'What accounting has charged for holds that were closed by this process',
  });
  return (name, fact) => {
    emit(name, fact as never); // EVENTS satisfies the facts, name by name
    if ('chargedCredits' in fact) charged.add(fact.chargedCredits);
  };
}
