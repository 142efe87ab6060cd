import { chargeFor, unitPricesFor } from '@tollgate/contracts';
import { type Chatflow, isFlow } from './chatflow.ts';
import type { Reply } from './reply.ts';
import type { Credits, Hold, Price, Units, UsageSource } from './wire-types.ts';

const MICRO = 1_000_000n;
/** A hold grows when this share of it is used: credits.md, Life of a request, 5. */
const EXTEND_AT_PERCENT = 80n;
/** What a message costs beside its text: role and separators of the chat template, in bytes (more than in tokens). */
const MESSAGE_OVERHEAD = 8;

/** What is charged for a finished answer whose upstream should have reported usage and did not: credits.md, Outcome policy. */
export type AbsentUsage = 'estimate' | 'hold' | 'free' | 'fail';

/** What an answer costs and why. */
export interface Bill {
  readonly units: Units;
  readonly usageSource: UsageSource;
  readonly credits: Credits;
  /** What the payer has left. */
  readonly remainingCredits: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Contained in the two above; undefined when the upstream did not tell. */
  readonly cachedTokens: number | undefined;
  readonly reasoningTokens: number | undefined;
  readonly estimated: boolean;
}

/** Upper bound of the input: a token of a byte-level vocabulary covers at least one byte. */
export function promptBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + MESSAGE_OVERHEAD, 0);
}

/** The most units an answer may use. */
export const mostUnits = (bytes: number, output: number): Units => ({ request: 1, input: bytes, output });

/** A chain of Flowise never reports usage, so that its answers are charged by the message when the price allows it. */
export const reportsUsage = (chatflow: Chatflow): boolean => !isFlow(chatflow) || chatflow.type !== 'CHATFLOW';

/** Whether the price charges a message as such. */
export const chargesPerMessage = (price: Price): boolean =>
  price.free || (price.mode !== 'metered' && (price.unitPrices.request ?? 0) > 0);

/**
 * What is to be settled for an answer as it stands; undefined when nothing billable happened: then the hold is voided.
 * (credits.md, Outcome policy)
 */
export function billFor(hold: Hold, reply: Reply, absentUsage: AbsentUsage = 'estimate'): Bill | undefined {
  const { price } = hold;
  if (!reply.hasOutput && !(reply.status === 'completed' && reply.hasReportedUsage)) return undefined;
  // An estimate may be wrong, so that it never charges more than the hold and its extensions have reserved.
  const { input, cacheRead, output, source } = reply.tokens(hold.units.output);
  // Decided when the hold was taken: an answer that breaks off before its usage was reported is no cheaper for it.
  const isFlat = hold.units.output === undefined && !reply.hasReportedUsage;
  const counted = isFlat ? { request: 1 } : meteredUnits(input, cacheRead, output);
  const units = lacksUsage(reply) ? (absentUnits(absentUsage, hold) ?? counted) : counted;
  const credits = chargeFor(price, units);
  return {
    units,
    usageSource: isFlat ? 'flat' : source,
    credits,
    remainingCredits: Math.max(0, spendable(hold) - credits),
    inputTokens: input + cacheRead,
    outputTokens: output,
    cachedTokens: reply.hasReportedUsage ? cacheRead : undefined,
    reasoningTokens: reply.reasoningTokens,
    estimated: source === 'estimated' || reply.hasBadUsage,
  };
}

/** A finished answer without usage, or with none that can be believed. */
export const lacksUsage = (reply: Reply): boolean => reply.status === 'completed' && !reply.hasReportedUsage;

/** What an installation charges in place of its own count. */
function absentUnits(absentUsage: AbsentUsage, hold: Hold): Units | undefined {
  if (absentUsage === 'hold') return hold.units;
  return absentUsage === 'free' ? { input: 0, output: 0 } : undefined;
}

/** What the payer could spend if the hold were released. */
export const spendable = (hold: Hold): number => hold.availableCredits + hold.heldCredits;

/** An upstream that says 0 is believed: no token, no charge, also not for the request. */
function meteredUnits(input: number, cacheRead: number, output: number): Units {
  const tokens = { input, output, ...(cacheRead > 0 && { cache_read: cacheRead }) };
  return input + cacheRead + output === 0 ? tokens : { request: 1, ...tokens };
}

/**
 * The number of output tokens at which a hold must grow, for an upstream that does not keep to a limit of tokens.
 * Infinity when more output costs no more.
 */
export function extendAtOutput(hold: Hold, inputTokens: number): number {
  const { price, heldCredits, units } = hold;
  // The hold was taken for the most input there can be, so that no tier is dearer than its own.
  const prices = unitPricesFor(price, units);
  const perToken = BigInt(prices.output ?? 0);
  if (price.free || price.mode === 'flat' || perToken === 0n) return Number.POSITIVE_INFINITY;
  const flat = price.mode === 'flat_plus_metered' ? BigInt(prices.request ?? 0) : 0n;
  const capacity = (BigInt(heldCredits) * MICRO * BigInt(price.markupDenominator)) / BigInt(price.markupNumerator);
  const spent = flat + BigInt(inputTokens) * BigInt(prices.input ?? 0);
  const left = (capacity * EXTEND_AT_PERCENT) / 100n - spent;
  const granted = Math.floor(((units.output ?? Infinity) * Number(EXTEND_AT_PERCENT)) / 100);
  return left <= 0n ? 1 : Math.max(1, Math.min(granted, Number(left / perToken)));
}

/**
 * Twice of what has been produced, so that the number of extensions stays logarithmic. The input is what it was, by now, and
 * not what it could have been: what was reserved for the difference pays for output.
 */
export function extendedUnits(hold: Hold, reply: Reply): Units {
  const { input, output } = reply.tokens();
  return { request: 1, input, output: Math.max(hold.units.output ?? 0, 2 * output) };
}

/** A hold after an extension: when its credits pay for all that was asked, that is what it covers. */
export const extendedHold = (granted: Hold, asked: Units): Hold =>
  chargeFor(granted.price, asked) <= granted.heldCredits ? { ...granted, units: asked } : granted;
