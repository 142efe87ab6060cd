import { z } from 'zod';
import { Secret } from './secret.ts';
import { databaseUrl, list } from './variables.ts';

/** For every service that sends mail; one `.env` may feed them all. */
export const mailVariables = {
  SMTP_URL: databaseUrl(['smtp:', 'smtps:']).describe('Mail server, smtp://user:password@host:port'),
  MAIL_FROM: z.string().min(3).max(254).prefault('Tollgate <no-reply@localhost>').describe('Sender of mails'),
};

const MOST_OPERATORS = 10;

/** For every service that has something to tell its operators. */
export const operatorVariables = {
  ALERT_MAIL_TO: mailAddresses({ most: MOST_OPERATORS })
    .prefault('')
    .describe('Operators who are told by mail of low balances, faults and attacks, between commas'),
};

/** Several mail addresses between commas, each a plain one. */
function mailAddresses({ most }: { most: number }) {
  const Address = z.email('must be mail addresses between commas').max(254);
  return list(Address).refine((addresses) => addresses.length <= most, `must be at most ${most} addresses`);
}

/** Receivers of webhooks between commas. An address may hold a secret in its path, so the whole is one. */
export function webhookUrls({ most }: { most: number }) {
  const Receiver = z
    .url({ protocol: /^https?$/, error: 'must be http or https URLs between commas' })
    .refine((url) => !URL.parse(url)?.username && !URL.parse(url)?.password, 'must not hold a user name or password')
    .refine((url) => !url.includes('#'), 'must not hold a fragment');
  return list(Receiver)
    .refine((urls) => urls.length <= most, `must be at most ${most} URLs`)
    .refine((urls) => new Set(urls).size === urls.length, 'names a URL twice')
    .meta({ secret: true });
}

const LEAST_BYTES = 24;
const MOST_BYTES = 64;
const MOST_SECRETS = 2;

/** Secrets of Standard Webhooks, `whsec_` and base64 of 24 to 64 bytes: the current one and, while receivers change over, the previous. */
export function webhookSecrets() {
  return z
    .string()
    .max(512)
    .transform((text, context): readonly Secret[] => {
      const secrets = text.split(',').map((secret) => secret.trim());
      const fault = secrets.length > MOST_SECRETS ? 'names more than two secrets' : secrets.map(faultOf).find(Boolean);
      const repeated = new Set(secrets).size < secrets.length ? 'names a secret twice' : undefined;
      if (fault === undefined && repeated === undefined) return secrets.map((secret) => new Secret(secret));
      context.addIssue({ code: 'custom', message: fault ?? repeated ?? '' });
      return z.NEVER;
    })
    .meta({ secret: true });
}

/** Size in bytes of the key in a webhook secret. */
export const webhookKeyBytes = (secret: Secret): number => keyOf(secret.reveal()).byteLength;

const keyOf = (secret: string): Buffer => Buffer.from(secret.slice('whsec_'.length), 'base64');

function faultOf(secret: string): string | undefined {
  const key = keyOf(secret);
  if (!secret.startsWith('whsec_') || `whsec_${key.toString('base64')}` !== secret)
    return 'must be whsec_ and base64, such as whsec_$(openssl rand -base64 32)';
  if (key.byteLength < LEAST_BYTES || key.byteLength > MOST_BYTES)
    return `must hold ${LEAST_BYTES} to ${MOST_BYTES} bytes, and holds ${key.byteLength}`;
  return new Set(key).size < key.byteLength / 2 ? 'repeats itself: make a random one' : undefined;
}
