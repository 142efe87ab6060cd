import type { UpstreamPart } from '../domain/answer.ts';

/** More tokens than any model takes or makes in one answer: a count beyond it is a fault. */
const MOST_TOKENS = 100_000_000;

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
  return { kind: 'usage', usage: { input: input - cacheRead, cacheRead, output, raw } };
}

/** Own enumerable properties of an object that came from outside; nothing for anything else. */
export const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
