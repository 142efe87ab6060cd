export type TopUpRules = Readonly<{ creditsPerUsd: number; fewestCredits: number; mostCredits: number }>;

export const TOPUP_CURRENCY = 'USD';
const CENTS = 100n;

/** What so many credits cost, in whole cents, rounded up. */
export function topUpCents(credits: number, { creditsPerUsd }: TopUpRules): number {
  const rate = BigInt(creditsPerUsd);
  return Number((BigInt(credits) * CENTS + rate - 1n) / rate);
}
