import { z } from 'zod';
import { PRICE_MODES, Price, UnitPrices } from '../credits.ts';
import { Timestamp } from '../ids.ts';
import { operation } from '../operation.ts';

/** A name in which `*` stands for any characters. */
const Pattern = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[\w*.:/@ -]+$/, 'may hold letters, digits, "*" and . : / @ - _');

const Match = {
  upstream: Pattern,
  model: Pattern.default('*'),
  chatflow: Pattern.default('*'),
  /** The users' group the price is for. */
  group: Pattern.default('*'),
};

const Markup = z.int().min(1).max(1_000_000).default(1);

export const PriceRule = Price.extend({
  upstream: z.string(),
  model: z.string(),
  chatflow: z.string(),
  group: z.string(),
  validFrom: Timestamp,
  createdBy: z.string(),
  createdAt: Timestamp,
});
export type PriceRule = z.infer<typeof PriceRule>;

export const listPrices = operation({
  id: 'listPrices',
  method: 'GET',
  path: '/api/pricing',
  summary: 'All versions of all price rules, newest first (at most 1,000)',
  permission: 'pricing:write',
  result: z.object({ rules: z.array(PriceRule) }),
});

export const createPrice = operation({
  id: 'createPrice',
  method: 'POST',
  path: '/api/pricing',
  summary: 'Add the next version of a price rule; it holds for new requests only and is never edited',
  permission: 'pricing:write',
  status: 201,
  body: z
    .strictObject({
      ...Match,
      mode: z.enum(PRICE_MODES).default('metered'),
      unitPrices: UnitPrices.default({}),
      markupNumerator: Markup,
      markupDenominator: Markup,
      free: z.boolean().default(false),
      /** Not before now; absent: at once. */
      validFrom: z.iso.datetime({ offset: true }).optional(),
    })
    .refine(({ free, unitPrices }) => free || Object.values(unitPrices).some((price) => price > 0), {
      error: 'needs a price above 0, or free: true',
      params: { code: 'INVALID_AMOUNT' },
    }),
  result: PriceRule,
  errors: ['INVALID_AMOUNT'],
});
