import { z } from 'zod';

const isWellFormed = (text: string): boolean => text.isWellFormed();

/**
 * Text that is stored as it came. Half of a surrogate pair is no character: UTF-8 cannot carry it (RFC 3629, section 3), and
 * MongoDB would give back another one.
 */
export const textOf = (bounds: { readonly min?: number; readonly max: number }) =>
  z
    .string()
    .min(bounds.min ?? 0)
    .max(bounds.max)
    .refine(isWellFormed, 'must be well-formed text');

/** The same without the blanks around it. */
export const trimmedTextOf = (bounds: { readonly min?: number; readonly max: number }) =>
  z
    .string()
    .trim()
    .min(bounds.min ?? 0)
    .max(bounds.max)
    .refine(isWellFormed, 'must be well-formed text');
