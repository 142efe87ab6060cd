import type { Price, UnitPrices } from '@tollgate/contracts';
import { bestPrice } from '../domain/price-match.ts';
import type { NewPrice, PriceRule, Prices } from '../ports.ts';
import { type Query, sqlState } from './postgres.ts';

type Row = {
  id: string;
  upstream: string;
  model: string;
  chatflow: string;
  user_group: string;
  version: number;
  valid_from: Date;
  mode: Price['mode'];
  unit_prices: UnitPrices;
  markup_numerator: number;
  markup_denominator: number;
  free: boolean;
  created_by: string;
  created_at: Date;
};

const ruleOf = (row: Row): PriceRule => ({
  ...priceOf(row),
  upstream: row.upstream,
  model: row.model,
  chatflow: row.chatflow,
  group: row.user_group,
  validFrom: row.valid_from.toISOString(),
  createdBy: row.created_by,
  createdAt: row.created_at.toISOString(),
});

const priceOf = (row: Row): Price => ({
  ruleId: row.id,
  version: row.version,
  mode: row.mode,
  unitPrices: row.unit_prices,
  markupNumerator: row.markup_numerator,
  markupDenominator: row.markup_denominator,
  free: row.free,
});

const MOST_LISTED = 1000;

/** Price rules. What is valid now is read again after `maxAgeMs`; a version never changes, so it is read once. */
export function createPrices(query: Query, maxAgeMs: number): Prices {
  const known = new Map<string, Price>();
  let current: { rules: Promise<PriceRule[]>; until: number } | undefined;

  async function readCurrent(): Promise<PriceRule[]> {
    const rows = await query<Row>(
      `SELECT DISTINCT ON (upstream, model, chatflow, user_group) * FROM price_rules WHERE valid_from <= (SELECT ledger_now())
       ORDER BY upstream, model, chatflow, user_group, version DESC`,
    );
    return rows.map(ruleOf);
  }

  function currentRules(): Promise<PriceRule[]> {
    const now = performance.now();
    if (current && now < current.until) return current.rules;
    const reading = { rules: readCurrent(), until: now + maxAgeMs };
    current = reading;
    reading.rules.catch(() => {
      if (current === reading) current = undefined;
    });
    return reading.rules;
  }

  return {
    async find(resource) {
      const rule = bestPrice(await currentRules(), resource);
      return rule && priceOnly(rule);
    },
    async byId(ruleId) {
      const price = known.get(ruleId);
      if (price) return price;
      const [row] = await query<Row>('SELECT * FROM price_rules WHERE id = $1', [ruleId]);
      if (row) known.set(ruleId, priceOf(row));
      return row && priceOf(row);
    },
    async list() {
      const rows = await query<Row>('SELECT * FROM price_rules ORDER BY created_at DESC, id LIMIT $1', [MOST_LISTED]);
      return rows.map(ruleOf);
    },
    async add(price) {
      const row = await insertNextVersion(query, price);
      current = undefined;
      return row ? ruleOf(row) : 'past';
    },
  };
}

const priceOnly = ({
  ruleId,
  version,
  mode,
  unitPrices,
  markupNumerator,
  markupDenominator,
  free,
}: PriceRule): Price => ({
  ruleId,
  version,
  mode,
  unitPrices,
  markupNumerator,
  markupDenominator,
  free,
});

const UNIQUE_VIOLATION = '23505';
const MOST_TRIES = 5;

/** Two operators who write the same rule at once get two versions. */
async function insertNextVersion(query: Query, price: NewPrice): Promise<Row | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const [row] = await query<Row>(
        `INSERT INTO price_rules (upstream, model, chatflow, user_group, version, valid_from, mode, unit_prices,
                                  markup_numerator, markup_denominator, free, created_by)
         SELECT $1, $2, $3, $4, 1 + coalesce((
                  SELECT max(version) FROM price_rules
                  WHERE tenant_id = 'default' AND upstream = $1 AND model = $2 AND chatflow = $3 AND user_group = $4), 0),
                coalesce($5, n.now), $6, $7, $8, $9, $10, $11
         FROM (SELECT ledger_now() AS now OFFSET 0) n WHERE $5::timestamptz IS NULL OR $5 >= n.now RETURNING *`,
        [
          price.upstream,
          price.model,
          price.chatflow,
          price.group,
          price.validFrom ?? null,
          price.mode,
          JSON.stringify(price.unitPrices),
          price.markupNumerator,
          price.markupDenominator,
          price.free,
          price.createdBy,
        ],
      );
      return row;
    } catch (error) {
      if (sqlState(error) !== UNIQUE_VIOLATION || attempt === MOST_TRIES) throw error;
    }
  }
}
