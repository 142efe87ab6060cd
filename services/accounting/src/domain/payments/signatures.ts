import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a provider sent: the body as it came, and the headers in lower case. */
export type SignedEvent = Readonly<{ body: Uint8Array; headers: Readonly<Record<string, string | undefined>> }>;
/** When it was signed, in seconds, if it was. */
export type SignatureVerdict = Readonly<{ signedAt: number }> | 'unsigned' | 'forged';

/** A captured event is worthless after so long, in either direction. */
const TOLERANCE_SECONDS = 300;

export const isStale = (signedAt: number, nowSeconds: number): boolean =>
  Math.abs(nowSeconds - signedAt) > TOLERANCE_SECONDS;

const MOST_SIGNATURES = 10;
const LONGEST_HEADER = 4096;

type Claim = Readonly<{ timestamp: string; signatures: readonly Buffer[]; signedPrefix: string }>;

/** `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>…]`: an HMAC-SHA256 over `t.body`; other schemes in it do not count. */
export function stripeVerdict(event: SignedEvent, secrets: readonly string[]): SignatureVerdict {
  const pairs = headerOf(event, 'stripe-signature')
    .split(',')
    .map((pair) => pair.trim().split('='));
  const all = (name: string) => pairs.flatMap(([key, value]) => (key === name && value !== undefined ? [value] : []));
  const [timestamp = ''] = all('t');
  const signatures = all('v1').map((hex) => Buffer.from(hex, 'hex'));
  const keys = secrets.map((secret) => Buffer.from(secret));
  return verdict(event, { timestamp, signatures, signedPrefix: `${timestamp}.` }, keys);
}

/** Standard Webhooks: `webhook-signature: v1,<base64>[ v1,<base64>…]` over `webhook-id.webhook-timestamp.body`. */
export function standardVerdict(event: SignedEvent, secrets: readonly string[]): SignatureVerdict {
  const [id, timestamp] = [headerOf(event, 'webhook-id'), headerOf(event, 'webhook-timestamp')];
  if (id === '') return 'unsigned';
  const signatures = headerOf(event, 'webhook-signature')
    .split(' ')
    .filter((part) => part.startsWith('v1,'))
    .map((part) => Buffer.from(part.slice('v1,'.length), 'base64'));
  const claim = { timestamp, signatures, signedPrefix: `${id}.${timestamp}.` };
  return verdict(event, claim, secrets.map(standardKey));
}

/** The key inside of a Standard Webhooks secret, `whsec_` and base64. */
const standardKey = (secret: string): Buffer => Buffer.from(secret.replace(/^whsec_/, ''), 'base64');

function verdict({ body }: SignedEvent, claim: Claim, keys: readonly Buffer[]): SignatureVerdict {
  const { timestamp, signatures, signedPrefix } = claim;
  if (!/^\d{1,12}$/.test(timestamp) || signatures.length === 0 || signatures.length > MOST_SIGNATURES)
    return 'unsigned';
  const expected = keys.map((key) => createHmac('sha256', key).update(signedPrefix).update(body).digest());
  if (!expected.some((one) => signatures.some((signature) => isEqual(one, signature)))) return 'forged';
  return { signedAt: Number(timestamp) };
}

const isEqual = (one: Buffer, other: Buffer): boolean => one.length === other.length && timingSafeEqual(one, other);

function headerOf({ headers }: SignedEvent, name: string): string {
  const value = headers[name] ?? '';
  return value.length > LONGEST_HEADER ? '' : value;
}
