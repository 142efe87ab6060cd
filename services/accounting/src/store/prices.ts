import type { Price, PriceTier, UnitPrices } from '@tollgate/contracts';
import { bestPrice, isGroupNamed } from '../domain/price-match.ts';
import type { NewPrice, PriceFilter, PriceRule, Prices } from '../ports.ts';
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
  tiers: PriceTier[];
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
  ...(row.tiers.length > 0 && { tiers: row.tiers }),
  markupNumerator: row.markup_numerator,
  markupDenominator: row.markup_denominator,
  free: row.free,
});

/** Versions of prices that are read by their id; one more costs one statement. */
const MOST_REMEMBERED = 10_000;

/** Price rules. What is valid now is read again after `maxAgeMs`; a version never changes, so it is read once. */
export function createPrices(query: Query, maxAgeMs: number): Prices {
  /** The one that was read longest ago makes room. */
  const known = new Map<string, Price>();
  let current: { rules: Promise<PriceRule[]>; until: number } | undefined;

  function remember(ruleId: string, price: Price): void {
    known.set(ruleId, price);
    const [oldest] = known.keys();
    if (known.size > MOST_REMEMBERED && oldest !== undefined) known.delete(oldest);
  }

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
    async find(resource, accountId) {
      const rules = await currentRules();
      const group = isGroupNamed(rules, resource) ? await groupOf(query, accountId) : undefined;
      const rule = bestPrice(rules, { ...resource, ...(group !== undefined && { group }) });
      return rule && priceOnly(rule);
    },
    async byId(ruleId) {
      const price = known.get(ruleId);
      if (price) return price;
      const [row] = await query<Row>('SELECT * FROM price_rules WHERE id = $1', [ruleId]);
      if (row) remember(ruleId, priceOf(row));
      return row && priceOf(row);
    },
    async rule(ruleId) {
      const [row] = await query<Row>('SELECT * FROM price_rules WHERE id = $1', [ruleId]);
      return row && ruleOf(row);
    },
    list: (filter) => listRules(query, filter),
    async add(price) {
      const row = await insertNextVersion(query, price);
      current = undefined;
      return row ? ruleOf(row) : 'past';
    },
    async group(accountId) {
      const [row] = await query<GroupRow>('SELECT price_group FROM user_accounts WHERE id = $1', [accountId]);
      return row?.price_group;
    },
    async setGroup(accountId, group) {
      const [row] = await query<{ previous_group: string | null }>('SELECT * FROM ledger.set_price_group($1, $2)', [
        accountId,
        group,
      ]);
      return row?.previous_group;
    },
  };
}

type GroupRow = { price_group: string | null };

/** Read anew for each request, so that a change holds at once; only where a rule names a group at all. */
async function groupOf(query: Query, accountId: string): Promise<string | undefined> {
  const [row] = await query<GroupRow>('SELECT price_group FROM user_accounts WHERE id = $1', [accountId]);
  return row?.price_group ?? undefined;
}

/** Newest first; rules are never deleted, so that the place of any of them is found again. */
async function listRules(query: Query, filter: PriceFilter): Promise<PriceRule[]> {
  const rows = await query<Row>(
    `SELECT r.* FROM price_rules r
     WHERE ($2::uuid IS NULL OR (r.created_at, r.id) < (SELECT p.created_at, p.id FROM price_rules p WHERE p.id = $2))
       AND ($3::text IS NULL OR r.upstream = $3) AND ($4::text IS NULL OR r.model = $4)
       AND ($5::text IS NULL OR r.chatflow = $5) AND ($6::text IS NULL OR r.user_group = $6)
       AND (NOT $7::boolean OR r.version = (
         SELECT max(c.version) FROM price_rules c
         WHERE c.tenant_id = r.tenant_id AND c.upstream = r.upstream AND c.model = r.model AND c.chatflow = r.chatflow
           AND c.user_group = r.user_group AND c.valid_from <= (SELECT ledger_now())))
     ORDER BY r.created_at DESC, r.id DESC LIMIT $1`,
    [
      filter.limit,
      filter.after ?? null,
      filter.upstream ?? null,
      filter.model ?? null,
      filter.chatflow ?? null,
      filter.group ?? null,
      filter.current,
    ],
  );
  return rows.map(ruleOf);
}

/** Without the rule's patterns and origin: what is pinned on a hold and told to its owner. */
const priceOnly = (rule: PriceRule): Price => ({
  ruleId: rule.ruleId,
  version: rule.version,
  mode: rule.mode,
  unitPrices: rule.unitPrices,
  ...(rule.tiers && { tiers: rule.tiers }),
  markupNumerator: rule.markupNumerator,
  markupDenominator: rule.markupDenominator,
  free: rule.free,
});

const UNIQUE_VIOLATION = '23505';
const MOST_TRIES = 5;

/** Two operators who write the same rule at once get two versions. */
async function insertNextVersion(query: Query, price: NewPrice): Promise<Row | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const [row] = await query<Row>(
        `INSERT INTO price_rules (upstream, model, chatflow, user_group, version, valid_from, mode, unit_prices,
                                  markup_numerator, markup_denominator, free, created_by, tiers)
         SELECT $1, $2, $3, $4, 1 + coalesce((
                  SELECT max(version) FROM price_rules
                  WHERE tenant_id = 'default' AND upstream = $1 AND model = $2 AND chatflow = $3 AND user_group = $4), 0),
                coalesce($5, n.now), $6, $7, $8, $9, $10, $11, $12
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
          JSON.stringify(price.tiers ?? []),
        ],
      );
      return row;
    } catch (error) {
      if (sqlState(error) !== UNIQUE_VIOLATION || attempt === MOST_TRIES) throw error;
    }
  }
}
