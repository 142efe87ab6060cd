import type { Units } from '@tollgate/contracts';

/**
 * The units of a request of which only a number of tokens is known: all of them count as output, the dearer side, so that
 * an estimate is an upper bound.
 */
export const sessionUnits = (tokens: number): Units => ({ request: 1, output: tokens });
