import { type Closers, createRounds, type Rounds } from '@tollgate/http-kit';
import type { Clock } from '@tollgate/jwt-claims';
import { createMailer } from '@tollgate/mail';
import type { createHeartbeats, Logger } from '@tollgate/telemetry';
import { createMailChannel } from './clients/mail-channel.ts';
import { createWebhookChannel } from './clients/webhook-channel.ts';
import type { Config } from './config.ts';
import type { Flows } from './flows.ts';
import type { Channel } from './ports.ts';

type Surroundings = { closers: Closers; logger: Logger; clock: Clock };

/** Where this installation tells its events; nothing connects before the first one. */
export function openChannels({ webhooks, mail }: Config, { closers, logger, clock }: Surroundings): Channel[] {
  const { urls, ...manner } = webhooks;
  const receivers = urls.map((url) =>
    closers.add('webhooks', createWebhookChannel({ url, ...manner, now: clock.now })),
  );
  if (!mail) {
    logger.info('no mail is sent: SMTP_URL is not set');
    return receivers;
  }
  const { url, from, operators } = mail;
  const mailer = closers.add('mailer', createMailer({ url: url.reveal(), from }));
  const domain = /@([\w.-]+)/.exec(from)?.[1] ?? 'localhost';
  return [...receivers, createMailChannel({ mailer, operators, domain })];
}

type Heartbeats = ReturnType<typeof createHeartbeats>;
type Scheduled = Readonly<{
  flows: Pick<Flows, 'routeEvents' | 'deliverEvents' | 'tidyOutbox' | 'rearmAlerts'>;
  channels: readonly Channel[];
  failed: (error: unknown) => void;
  beat: Heartbeats;
}>;

const TIDY_INTERVAL_MS = 600_000;

/** Every channel has rounds of its own, so that a receiver that hangs keeps no other one waiting. */
export function outboxRounds({ outbox }: Config, { flows, channels, failed, beat }: Scheduled): Rounds[] {
  const everyMs = outbox.intervalMs;
  const often = (task: string) => ({ everyMs, failed, finished: beat(task, everyMs) });
  return [
    createRounds(flows.routeEvents, often('route-events')),
    createRounds(flows.rearmAlerts, { ...often('rearm-alerts'), delayMs: everyMs }),
    ...channels.map((channel) => createRounds(() => flows.deliverEvents(channel), often(`deliver-${channel.kind}`))),
    createRounds(flows.tidyOutbox, {
      everyMs: TIDY_INTERVAL_MS,
      delayMs: everyMs,
      failed,
      finished: beat('tidy-outbox', TIDY_INTERVAL_MS),
    }),
  ];
}
