import type { UpstreamPart } from '../../domain/answer.ts';

/** More tokens than any model takes or makes in one answer: a count beyond it is a fault. */
const MOST_TOKENS = 100_000_000;

/** Beyond it a report is no report any more, and accounting would not take it. */
const LONGEST_RAW_BYTES = 8192;
const DEEPEST_RAW = 8;
const UNSAFE_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
/** NUL and halves of surrogate pairs, as JSON writes them: PostgreSQL stores neither. */
const UNSTORABLE = /\\u(?:0000|d[89a-f])/i;

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MOST_TOKENS;

/** An absent count is 0; a wrong one makes the whole report unbelievable. */
const isCountOrAbsent = (value: unknown): value is number | undefined | null =>
  value === undefined || value === null || isCount(value);

/**
 * Usage as a part of an answer, or `bad-usage` when it cannot be true. `cached` is contained in `input`, as OpenAI counts;
 * our classes are disjoint.
 */
export function usagePart(input: unknown, output: unknown, cached: unknown, raw: unknown): UpstreamPart {
  if (!isCount(input) || !isCount(output) || !isCountOrAbsent(cached)) return { kind: 'bad-usage' };
  const cacheRead = Math.min(cached ?? 0, input);
  return {
    kind: 'usage',
    usage: { input: input - cacheRead, cacheRead, output, raw: isKeepable(raw) ? raw : undefined },
  };
}

/** Whether an upstream's own object may go into the books: small, shallow, and of names that do no harm. */
const isKeepable = (raw: unknown): boolean => {
  if (!isShallowAndSafe(raw, DEEPEST_RAW)) return false;
  const json = JSON.stringify(raw) ?? '';
  return Buffer.byteLength(json) <= LONGEST_RAW_BYTES && !UNSTORABLE.test(json);
};

function isShallowAndSafe(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  return Object.entries(value).every(([key, own]) => !UNSAFE_KEYS.has(key) && isShallowAndSafe(own, levels - 1));
}

/** Own enumerable properties of an object that came from outside; nothing for anything else. */
export const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
