import type { Price, Units } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { type Bill, payableBill } from '../domain/charge-line.ts';
import type { Resource } from '../domain/price-match.ts';
import type { Ports } from '../ports.ts';

/** The price a request has now. A model that nobody priced is refused, never free. */
export async function priceOf(
  { prices, events }: Pick<Ports, 'prices' | 'events'>,
  resource: Resource,
  userId: string,
): Promise<Price> {
  const price = await prices.find(resource, userId);
  if (price) return price;
  events.refused({ reason: 'model_not_priced', userId });
  throw new AppError('MODEL_NOT_PRICED', `${resource.upstream}/${resource.model} has no price`);
}

/** What units cost at a price. */
export function billOf(price: Price, units: Units): Bill {
  const bill = payableBill(price, units);
  if (!bill) throw new AppError('INVALID_AMOUNT', 'The units cost more than can be booked');
  return bill;
}

/** What a request would cost at most; reserves nothing. */
export const createCalculateCredits = (deps: Pick<Ports, 'prices' | 'events'>) =>
  async function calculateCredits(
    userId: string,
    resource: Resource,
    units: Units,
  ): Promise<{ credits: number; price: Price }> {
    const price = await priceOf(deps, resource, userId);
    return { credits: billOf(price, units).charge, price };
  };
