import {
  bool,
  duration,
  durationMs,
  mailVariables,
  operatorVariables,
  webhookSecrets,
  webhookUrls,
} from '@tollgate/config';
import type { z } from 'zod';

const MOST_RECEIVERS = 10;

/** Whom events are told, and how patiently. */
export const outboxVariables = {
  ...mailVariables,
  SMTP_URL: mailVariables.SMTP_URL.optional(),
  ...operatorVariables,
  WEBHOOK_URLS: webhookUrls({ most: MOST_RECEIVERS })
    .prefault('')
    .describe('Receivers of events (docs/webhooks.md), between commas; https in production'),
  WEBHOOK_SECRET: webhookSecrets()
    .optional()
    .describe(
      'What webhooks are signed with, whsec_…; while it is changed, the new one and the previous between commas',
    ),
  WEBHOOK_ALLOW_PRIVATE: bool()
    .prefault('false')
    .describe('Whether receivers may lie in private networks; refused in production'),
  WEBHOOK_CONNECT_TIMEOUT: durationMs({ min: '10ms', max: '30s' })
    .prefault('3s')
    .describe('Longest wait for a connection to a receiver'),
  WEBHOOK_TIMEOUT: durationMs({ min: '10ms', max: '60s' })
    .prefault('15s')
    .describe('Longest wait for a receiver in all'),
  OUTBOX_INTERVAL: durationMs({ min: '50ms', max: '10m' })
    .prefault('2s')
    .describe('How often events are looked for that wait to be delivered'),
  OUTBOX_LEASE: duration({ min: '1s', max: '1h' })
    .prefault('2m')
    .describe('After so long another process takes over a delivery; longer than WEBHOOK_TIMEOUT'),
  OUTBOX_RETRY_FIRST: duration({ min: '1s', max: '1h' })
    .prefault('5s')
    .describe('Pause after a first failed delivery of an event; doubles each time'),
  OUTBOX_RETRY_LONGEST: duration({ min: '1s', max: '24h' })
    .prefault('1h')
    .describe('Longest pause between two deliveries'),
  OUTBOX_GIVE_UP: duration({ min: '1m', max: '30d' })
    .prefault('3d')
    .describe('An event that cannot be delivered for so long is given up; at least 24h in production'),
  OUTBOX_RETENTION: duration({ min: '1m', max: '366d' }).prefault('30d').describe('How long delivered events are kept'),
};

type Read = z.output<z.ZodObject<typeof outboxVariables>>;

export const outboxConfig = (read: Read) => ({
  mail: read.SMTP_URL && { url: read.SMTP_URL, from: read.MAIL_FROM, operators: read.ALERT_MAIL_TO },
  webhooks: {
    urls: read.WEBHOOK_URLS,
    secrets: read.WEBHOOK_SECRET ?? [],
    allowPrivate: read.WEBHOOK_ALLOW_PRIVATE,
    connectMs: read.WEBHOOK_CONNECT_TIMEOUT,
    totalMs: read.WEBHOOK_TIMEOUT,
  },
  outbox: {
    intervalMs: read.OUTBOX_INTERVAL,
    pace: {
      leaseSeconds: read.OUTBOX_LEASE,
      firstRetrySeconds: read.OUTBOX_RETRY_FIRST,
      longestRetrySeconds: read.OUTBOX_RETRY_LONGEST,
      giveUpSeconds: read.OUTBOX_GIVE_UP,
      retentionSeconds: read.OUTBOX_RETENTION,
    },
  },
});
