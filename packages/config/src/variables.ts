import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseDuration } from './duration.ts';
import { Secret } from './secret.ts';
import { faultOfSecret } from './secret-rules.ts';

const LONGEST_VALUE = 4096;
const MOST_ITEMS = 100;
const HIGHEST_PORT = 65_535;

const Text = z.string().max(LONGEST_VALUE);

/** Other names of a variable, in the order in which they are looked at. */
export function alias<Schema extends z.ZodType>(schema: Schema, names: readonly string[]): Schema {
  return schema.meta({ aliases: names });
}

/** A TCP port as a number; 0 lets the operating system choose. */
export function port() {
  return whole({ max: HIGHEST_PORT });
}

/** A whole number within bounds. */
export function whole({ min = 0, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number } = {}) {
  return parsed(Text, (text) => {
    const number = Number(text);
    if (!/^-?\d{1,16}$/.test(text) || number < min || number > max) throw new RangeError(wholeRange(min, max));
    return number;
  }).meta({ range: { least: String(min), ...(max !== Number.MAX_SAFE_INTEGER && { most: String(max) }) } });
}

const wholeRange = (min: number, max: number) =>
  max === Number.MAX_SAFE_INTEGER
    ? `must be a whole number from ${min}`
    : `must be a whole number from ${min} to ${max}`;

/** A duration such as `15m`, as whole seconds. */
export function duration(bounds: { min?: string; max?: string } = {}) {
  return parsed(Text, (text) => {
    const seconds = durationWithin(text, bounds) / 1000;
    if (!Number.isInteger(seconds)) throw new RangeError('must be whole seconds');
    return seconds;
  }).meta({ range: rangeOf(bounds) });
}

/** A duration such as `500ms`, as milliseconds. */
export function durationMs(bounds: { min?: string; max?: string } = {}) {
  return parsed(Text, (text) => durationWithin(text, bounds)).meta({ range: rangeOf(bounds) });
}

const rangeOf = ({ min = '0s', max }: { min?: string; max?: string }) => ({
  least: min,
  ...(max !== undefined && { most: max }),
});

function durationWithin(text: string, { min = '0s', max }: { min?: string; max?: string }): number {
  const span = parseDuration(text);
  if (span < parseDuration(min)) throw new RangeError(`must be at least ${min}`);
  if (max !== undefined && span > parseDuration(max)) throw new RangeError(`must be at most ${max}`);
  return span;
}

/** true, 1, yes, on or false, 0, no, off. */
export function bool() {
  return parsed(Text, (text) => {
    if (/^(true|1|yes|on)$/i.test(text)) return true;
    if (/^(false|0|no|off)$/i.test(text)) return false;
    throw new RangeError('must be true or false');
  });
}

/** Values between commas, each checked by `item`; white space around them and empty ones are dropped. */
export function list<Item extends z.ZodType<unknown, string>>(item: Item) {
  return Text.transform((text) => itemsOf(text)).pipe(z.array(item).max(MOST_ITEMS));
}

const itemsOf = (text: string) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/**
 * The root address of an HTTP neighbour, without a slash at the end. The environments of older clients write it with or
 * without `/api` and a slash; contracts name whole paths, so both are dropped.
 */
export function baseUrl() {
  return parsed(Text, (text) => {
    const url = URL.parse(text);
    if (!url || !/^https?:$/.test(url.protocol)) throw new RangeError('must be an http or https URL');
    if (url.username || url.password) throw new RangeError('must not hold a user name or password');
    if (url.search || url.hash) throw new RangeError('must not hold a query or fragment');
    const path = url.pathname.replace(/\/{1,16}$/, '').replace(/\/api$/, '');
    return url.origin + path;
  });
}

/** A secret of at least `minBytes` bytes (default 32) that is neither a sample nor repetitive. */
export function secret({ minBytes = 32 }: { minBytes?: number } = {}) {
  return parsed(Text, (text) => strongSecret(text, minBytes)).meta({ secret: true });
}

/** A database address. It holds a password, so it is a Secret; several hosts are fine (`mongodb://a,b/x`). */
export function databaseUrl(protocols: readonly [string, ...string[]]) {
  return parsed(Text, (text) => {
    if (!protocols.some((protocol) => text.startsWith(`${protocol}//`) && text.length > protocol.length + 2)) {
      throw new RangeError(`must begin with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`);
    }
    return new Secret(text);
  }).meta({ secret: true });
}

/** One key of a ring; the first of a ring is the current one. */
export type NamedSecret = Readonly<{ kid: string; secret: Secret }>;

/**
 * Signing keys: one secret, or `kid:secret,kid:secret` with the current one first. A secret without a name gets one from
 * its SHA-256, the same in every service. A secret of a ring holds neither comma nor colon.
 */
export function keyRing({ minBytes = 32 }: { minBytes?: number } = {}) {
  return parsed(Text, (text): readonly NamedSecret[] => {
    const keys = text.split(',').map((entry) => namedSecret(entry.trim(), minBytes));
    if (new Set(keys.map(({ kid }) => kid)).size < keys.length) throw new RangeError('names a key twice');
    return keys;
  }).meta({ secret: true });
}

const KID_CHARACTERS = 8;

function namedSecret(entry: string, minBytes: number): NamedSecret {
  const [first = '', second, ...rest] = entry.split(':');
  if (second === undefined) {
    const kid = createHash('sha256').update(`tollgate-kid:${first}`).digest('hex').slice(0, KID_CHARACTERS);
    return { kid, secret: strongSecret(first, minBytes) };
  }
  if (rest.length > 0) throw new RangeError('has a key with more than one colon');
  if (!/^[\w.-]{1,64}$/.test(first)) throw new RangeError('has a key name that is not 1-64 letters, digits, . _ -');
  return { kid: first, secret: strongSecret(second, minBytes) };
}

function strongSecret(text: string, minBytes: number): Secret {
  const fault = faultOfSecret(text, minBytes);
  if (fault) throw new RangeError(fault);
  return new Secret(text);
}

/** A text as `read` takes it; its RangeError is the fault and must not quote the text. */
export const textReadBy = <Value>(read: (text: string) => Value) => parsed(Text, read);

/** The address of one page or document; unlike a base URL it is kept as it is. */
export function webAddress() {
  return parsed(Text, (text) => {
    const url = URL.parse(text);
    if (!url || !/^https?:$/.test(url.protocol)) throw new RangeError('must be an http or https URL');
    if (url.username || url.password) throw new RangeError('must not hold a user name or password');
    return url.href;
  });
}

/** A variable read by a function whose RangeError becomes the fault. */
function parsed<Value>(text: z.ZodString, read: (text: string) => Value) {
  return text.transform((value, context): Value => {
    try {
      return read(value);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}
