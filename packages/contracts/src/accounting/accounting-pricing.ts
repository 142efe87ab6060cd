import { z } from 'zod';
import { line } from './accounting-text.ts';
import {
  MAX_AMOUNT,
  MAX_MARKUP,
  MAX_MARKUP_PART,
  MAX_TIERS,
  MAX_UNIT_PRICE,
  PRICE_MODES,
  Price,
  UNIT_CLASSES,
  type UnitPrices,
} from '../credits.ts';
import { Timestamp, Uuid } from '../ids.ts';
import { operation, PageQuery } from '../operation.ts';

/** How a refinement says that the price, and nothing else, is at fault: 422. */
const refused = (error: string) => ({ error, params: { code: 'INVALID_PRICE' } });

const MAX_PATTERN = 200;
const hasLetter = (text: string): boolean => /[\p{L}\p{N}]/u.test(text);

/** A name in which `*` stands for any characters; `*` alone, or with something to go by. */
const Pattern = z
  .string()
  .trim()
  .refine((text) => text.length <= MAX_PATTERN, refused(`may have ${MAX_PATTERN} characters`))
  .refine(
    (text) => text.length > MAX_PATTERN || /^[\w*.:/@ -]*$/.test(text),
    refused('may hold letters, digits, "*" and . : / @ - _'),
  )
  .refine((text) => text === '*' || hasLetter(text), refused('must be "*" or hold a letter or digit'))
  .meta({ type: 'string', minLength: 1, maxLength: MAX_PATTERN });

const Match = {
  upstream: Pattern,
  model: Pattern.default('*'),
  chatflow: Pattern.default('*'),
  /** The group of accounts the price is for. */
  group: Pattern.default('*'),
};

const wholeWithin = (minimum: number, maximum: number) =>
  z
    .number()
    .refine(
      (value) => Number.isInteger(value) && value >= minimum && value <= maximum,
      refused(`must be a whole number from ${minimum} to ${maximum}`),
    )
    .meta({ type: 'integer', minimum, maximum });

const CLASSES: readonly string[] = UNIT_CLASSES;

/** As {@link UnitPrices}, but what is wrong with it is the fault of the price. */
const NewUnitPrices = z
  .record(z.string(), wholeWithin(0, MAX_UNIT_PRICE))
  .refine(
    (prices) => Object.keys(prices).every((unit) => CLASSES.includes(unit)),
    refused(`knows the classes ${UNIT_CLASSES.join(', ')}`),
  )
  .transform((prices) => prices as UnitPrices); // every key is one of them

const NewTier = z.strictObject({ aboveInputUnits: wholeWithin(1, MAX_AMOUNT), unitPrices: NewUnitPrices });
const Markup = wholeWithin(1, MAX_MARKUP_PART).default(1);

const NewPrice = z.strictObject({
  ...Match,
  mode: z.enum(PRICE_MODES).default('metered'),
  unitPrices: NewUnitPrices.default({}),
  /** Prices of a whole request by its input; none may be cheaper in any class than the one below it. */
  tiers: z
    .array(NewTier)
    .refine((tiers) => tiers.length <= MAX_TIERS, refused(`may have ${MAX_TIERS} tiers`))
    .default([]),
  markupNumerator: Markup,
  markupDenominator: Markup,
  free: z.boolean().default(false),
  /** Not before now; absent: at once. */
  validFrom: z.iso.datetime({ offset: true }).optional(),
});
type NewPrice = z.output<typeof NewPrice>;

const levelsOf = ({ unitPrices, tiers }: NewPrice): UnitPrices[] => [
  unitPrices,
  ...tiers.map((tier) => tier.unitPrices),
];
const pricesOf = (rule: NewPrice): number[] => levelsOf(rule).flatMap((prices) => Object.values(prices));
const costsSomething = (rule: NewPrice): boolean => pricesOf(rule).some((price) => price > 0);

function tiersRise({ tiers }: NewPrice): boolean {
  return tiers.every(({ aboveInputUnits }, n) => aboveInputUnits > (tiers[n - 1]?.aboveInputUnits ?? 0));
}

/** A hold is taken for an upper bound of the input, so that less input must never cost more. */
function tiersNeverFall(rule: NewPrice): boolean {
  const levels = levelsOf(rule);
  return levels.every((level, n) => UNIT_CLASSES.every((unit) => (level[unit] ?? 0) >= (levels[n - 1]?.[unit] ?? 0)));
}

/** The largest product is MAX_UNIT_PRICE × MAX_MARKUP_PART, well below 2^53. */
function isSane(rule: NewPrice): boolean {
  const { markupNumerator, markupDenominator } = rule;
  return (
    markupNumerator <= MAX_MARKUP * markupDenominator &&
    pricesOf(rule).every((price) => price * markupNumerator <= MAX_UNIT_PRICE * markupDenominator)
  );
}

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

const Named = line(MAX_PATTERN).optional();

export const listPrices = operation({
  id: 'listPrices',
  method: 'GET',
  path: '/api/pricing',
  summary: 'Versions of price rules, newest first; filters name a pattern exactly as it was written',
  permission: 'pricing:write',
  query: PageQuery.extend({
    cursor: Uuid.optional(),
    upstream: Named,
    model: Named,
    chatflow: Named,
    group: Named,
    /** `true`: of each rule only the version that new requests are priced with now. */
    current: z.stringbool({ truthy: ['true'], falsy: ['false'] }).default(false),
  }),
  result: z.object({ rules: z.array(PriceRule), nextCursor: z.string().nullable() }),
});

export const createPrice = operation({
  id: 'createPrice',
  method: 'POST',
  path: '/api/pricing',
  summary: 'Add the next version of a price rule; it holds for new requests only and is never edited',
  permission: 'pricing:write',
  status: 201,
  body: NewPrice.refine((rule) => rule.free || costsSomething(rule), refused('needs a price above 0, or free: true'))
    .refine((rule) => !rule.free || (!costsSomething(rule) && rule.tiers.length === 0), refused('free has no prices'))
    .refine(
      ({ upstream, model, chatflow, group }) => hasLetter(upstream + model + chatflow + group),
      refused('must not match everything'),
    )
    .refine(tiersRise, refused('tiers must come by rising aboveInputUnits'))
    .refine(tiersNeverFall, refused('a tier must not be cheaper than the one below it in any class'))
    .refine(isSane, refused('the prices with their markup are beyond every reason')),
  result: PriceRule,
  errors: ['INVALID_PRICE'],
});

/** A name that rules can match; none: only rules for every group. */
const GroupName = z
  .string()
  .regex(/^[0-9A-Za-z][0-9A-Za-z._:-]{0,63}$/, 'may hold letters, digits and . _ : -')
  .nullable();
/** A user, or the pool of a workspace. */
const accountParams = z.strictObject({
  userId: z.string().regex(/^([0-9a-f]{24,32}|ws_[0-9a-zA-Z-]{1,64})$/, 'must be the id of an account'),
});

export const readPriceGroup = operation({
  id: 'readPriceGroup',
  method: 'GET',
  path: '/api/admin/users/:userId/price-group',
  summary: 'The group whose prices an account has',
  permission: 'pricing:write',
  params: accountParams,
  result: z.object({ userId: z.string(), group: GroupName }),
  errors: ['NOT_FOUND'],
});

export const setPriceGroup = operation({
  id: 'setPriceGroup',
  method: 'PUT',
  path: '/api/admin/users/:userId/price-group',
  summary: 'Give an account the prices of a group, or those of everybody; open holds keep theirs',
  permission: 'pricing:write',
  params: accountParams,
  body: z.strictObject({ group: GroupName }),
  result: z.object({ userId: z.string(), group: GroupName, previousGroup: GroupName }),
  errors: ['NOT_FOUND'],
});
