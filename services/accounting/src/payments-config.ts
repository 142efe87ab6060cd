import { duration, keyRing, list, type NamedSecret, whole } from '@tollgate/config';
import { accounting, MAX_AMOUNT } from '@tollgate/contracts';
import { z } from 'zod';

/** How credits come in and go back. */
export const paymentVariables = {
  WELCOME_CREDITS: whole({ max: MAX_AMOUNT }).prefault('0').describe('Credits that every new account begins with'),
  WELCOME_DAYS: whole({ min: 1, max: 3650 }).prefault('30').describe('How many days they live'),
  REFUND_GRACE: duration({ min: '1h', max: '3650d' })
    .prefault('7d')
    .describe('Life of refunded credits whose own lot has lapsed'),
  PAYMENT_PROVIDERS: list(z.enum(accounting.PAYMENT_PROVIDERS))
    .prefault('')
    .describe('Who may say that an order was paid, between commas: stripe, standard; the first one is the usual one'),
  STRIPE_WEBHOOK_SECRET: keyRing()
    .optional()
    .describe('Signing secret of the endpoint at Stripe; several while it is replaced'),
  STANDARD_WEBHOOK_SECRET: keyRing()
    .optional()
    .describe('Secret of Standard Webhooks events, whsec_ and base64; several while it is replaced'),
  CREDITS_PER_USD: whole({ min: 1, max: 1_000_000_000 }).prefault('1000').describe('What a US dollar buys'),
  TOPUP_MIN_CREDITS: whole({ min: 1, max: MAX_AMOUNT }).prefault('1000').describe('Smallest order of credits'),
  TOPUP_MAX_CREDITS: whole({ min: 1, max: MAX_AMOUNT }).prefault('1000000').describe('Largest order of credits'),
  VOUCHER_TRIES_PER_HOUR: whole({ min: 1, max: 10_000 }).prefault('10').describe('Codes a user may try in an hour'),
};

type Read = z.output<z.ZodObject<typeof paymentVariables>>;
type Secrets = Pick<Read, 'PAYMENT_PROVIDERS' | 'STRIPE_WEBHOOK_SECRET' | 'STANDARD_WEBHOOK_SECRET'>;

const LEAST_KEY_BYTES = 24;

/** Whether a provider, if it is named, has a secret nobody can guess: an empty one would let everybody sign. */
export function hasSecret(read: Secrets, provider: accounting.PaymentProvider): boolean {
  if (!read.PAYMENT_PROVIDERS.includes(provider)) return true;
  const secrets = secretsOf(read, provider);
  const isLong = (secret: string) =>
    provider !== 'standard' || Buffer.from(secret.replace(/^whsec_/, ''), 'base64').length >= LEAST_KEY_BYTES;
  return secrets.length > 0 && secrets.every(isLong);
}

export const paymentConfig = (read: Read) => ({
  welcome: { credits: read.WELCOME_CREDITS, days: read.WELCOME_DAYS },
  refundGraceSeconds: read.REFUND_GRACE,
  providers: new Map(read.PAYMENT_PROVIDERS.map((provider) => [provider, secretsOf(read, provider)])),
  topUpRules: {
    creditsPerUsd: read.CREDITS_PER_USD,
    fewestCredits: read.TOPUP_MIN_CREDITS,
    mostCredits: read.TOPUP_MAX_CREDITS,
  },
});

function secretsOf(read: Secrets, provider: accounting.PaymentProvider): string[] {
  const ring: readonly NamedSecret[] =
    read[provider === 'stripe' ? 'STRIPE_WEBHOOK_SECRET' : 'STANDARD_WEBHOOK_SECRET'] ?? [];
  return ring.map(({ secret }) => secret.reveal());
}
