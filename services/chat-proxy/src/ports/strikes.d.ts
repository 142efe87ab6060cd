import type { UserId } from '../domain/wire-types.ts';
/** How often users have left before the first token. */
export interface StrikeCounts {
    /** One more in the window that ends then; the sum of all instances. One atomic step. */
    add(userId: UserId, windowEnd: Date): Promise<number>;
}
