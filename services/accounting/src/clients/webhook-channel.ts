import { createHash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { accounting } from '@tollgate/contracts';
import { PrivateAddress, publicConnector } from '@tollgate/http-kit/public-address';
import { Webhook } from 'standardwebhooks';
import { Agent, buildConnector, type Dispatcher, request } from 'undici';
import type { Channel, Delivery, DeliveryResult } from '../ports.ts';

export type WebhookOptions = Readonly<{
  url: string;
  /** The current one first; each signs, so that a receiver may change over in its own time. */
  secrets: readonly { reveal(): string }[];
  /** For development and tests: also loopback and private networks. */
  allowPrivate: boolean;
  connectMs: number;
  /** For the whole exchange. */
  totalMs: number;
  /** Milliseconds since the epoch, for the timestamp that is signed. Default: the system's. */
  now?: () => number;
  /** Default: the system's resolver, less what is private. */
  lookup?: LookupFunction;
}>;

/** Delivers events to one receiver as signed webhooks (Standard Webhooks). */
export function createWebhookChannel(options: WebhookOptions): Channel & { close(): Promise<void> } {
  const agent = new Agent({ connect: connectorOf(options), connections: MOST_CONNECTIONS, pipelining: 1 });
  const signers = options.secrets.map((secret) => new Webhook(secret.reveal()));
  return {
    kind: 'webhook',
    destinations: [{ kind: 'webhook', name: nameOf(options.url), types: accounting.OUTBOX_EVENT_TYPES }],
    async deliver(delivery) {
      try {
        return await post(agent, delivery, { ...options, signers });
      } catch (error) {
        return { outcome: 'retry', error: faultOf(error) };
      }
    },
    close: () => agent.destroy(),
  };
}

const MOST_CONNECTIONS = 10;
const DIGEST_CHARACTERS = 8;

/** Tells receivers apart without storing what in their address may be a secret. */
function nameOf(url: string): string {
  const digest = createHash('sha256').update(url).digest('hex').slice(0, DIGEST_CHARACTERS);
  return `${new URL(url).host}#${digest}`;
}

const connectorOf = ({ allowPrivate, connectMs, lookup }: WebhookOptions): buildConnector.connector =>
  allowPrivate ? buildConnector({ timeout: connectMs, allowH2: false }) : publicConnector(connectMs, lookup);

type Post = WebhookOptions & Readonly<{ signers: readonly Webhook[] }>;

const GONE = 410;
const MAY_NAME_A_TIME = new Set([429, 503]);

async function post(agent: Agent, { eventId, event }: Delivery, options: Post): Promise<DeliveryResult> {
  const body = JSON.stringify(event);
  const now = new Date((options.now ?? Date.now)());
  // A redirect is a failure like any other status: it is not followed to where nobody configured.
  const {
    statusCode,
    headers,
    body: answer,
  } = await request(options.url, {
    method: 'POST',
    dispatcher: agent,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'tollgate-webhooks',
      'webhook-id': eventId,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': options.signers.map((signer) => signer.sign(eventId, now, body)).join(' '),
    },
    body,
    signal: AbortSignal.timeout(options.totalMs),
  });
  await discard(answer);
  if (statusCode >= 200 && statusCode < 300) return { outcome: 'delivered' };
  const error = `status ${statusCode}`;
  if (statusCode === GONE) return { outcome: 'stop', error };
  const after = MAY_NAME_A_TIME.has(statusCode) ? secondsUntil(headers['retry-after'], now.getTime()) : undefined;
  return { outcome: 'retry', error, ...(after !== undefined && { afterSeconds: after }) };
}

const LONGEST_ANSWER_BYTES = 65_536;

/** The answer's body means nothing; a short one is read so that its connection can be used again. */
async function discard(body: Dispatcher.ResponseData['body']): Promise<void> {
  await body.dump({ limit: LONGEST_ANSWER_BYTES }).catch(() => undefined);
}

/** RFC 9110, section 10.2.3: seconds or a date. */
function secondsUntil(value: string | string[] | undefined, now: number): number | undefined {
  if (typeof value !== 'string') return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, (at - now) / 1000);
}

/** A code or a name, never a message: that may hold an address with a secret in it. */
function faultOf(error: unknown): string {
  if (error instanceof PrivateAddress) return error.message;
  const { code, name } = Object(error) as { code?: unknown; name?: unknown };
  if (typeof code === 'string') return code;
  return typeof name === 'string' ? name : 'unknown';
}
