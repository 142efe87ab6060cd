import { z } from 'zod';

/** Neither NUL nor half a surrogate pair: PostgreSQL stores everything else exactly as it came. */
const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

/** Exactly as it is stored, so that it can be found again. */
export const stored = (max: number) => z.string().max(max).refine(isStorable, 'has characters that cannot be stored');

/** Text of a person or service, trimmed, of 1 to `max` characters. */
export const line = (max: number) =>
  z.string().trim().min(1).max(max).refine(isStorable, 'has characters that cannot be stored');

/** Text that may be empty. */
export const notes = (max: number) =>
  z.string().trim().max(max).refine(isStorable, 'has characters that cannot be stored');

/** Few named facts beside a booking. */
export const Metadata = z.record(line(64), z.union([notes(1000), z.number(), z.boolean(), z.null()]));

/** Instead of an `Accept` header, for links. */
export const Format = z.enum(['json', 'csv']).optional();
