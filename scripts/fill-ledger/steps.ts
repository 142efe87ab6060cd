/** How much to make; whole numbers that were checked. */
export interface Fill {
  /** Ledger transactions, about. */
  readonly rows: number;
  readonly accounts: number;
  /** How far back the first of them lies. */
  readonly days: number;
}

/** Part of all rows that the busiest account has, 1/50, so that deep pages of one history can be measured. */
const BUSIEST_SHARE = 50;
/** One in so many accounts has a hold that is open now. */
const OPEN_EVERY = 1000;

interface Step {
  readonly title: string;
  readonly sql: (fill: Fill) => string;
}

const ACCOUNTS: Step = {
  title: 'accounts',
  sql: ({ rows, accounts, days }) => {
    const busiest = Math.max(1, Math.floor(rows / BUSIEST_SHARE / 2));
    const others = Math.max(1, (rows - 2 * busiest - accounts) / 2 / accounts);
    return `
      CREATE TEMP TABLE fill_accounts AS
        SELECT n, lpad(to_hex(n), 24, '0') AS user_id,
               CASE n WHEN 1 THEN ${busiest}
                 ELSE floor(${others})::integer + (hashtext('chats' || n) & 1023 < ${others % 1} * 1024)::integer END AS chats,
               date_trunc('microsecond', ledger_now() - interval '${days} days') AS began
        FROM generate_series(1, ${accounts}) AS n;
      INSERT INTO user_accounts (id, username, email, role, created_at)
        SELECT user_id, 'user-' || n, 'user-' || n || '@example.test', 'enduser', began FROM fill_accounts;`;
  },
};

/** The same in every run, with the version and the variant that the contract asks of an id. */
const HOLD_ID = "overlay(overlay(md5(a.n || ':' || k) PLACING '8' FROM 13) PLACING '8' FROM 17)::uuid";

/** Each chat holds 20 credits and is charged 1 to 20 of them, three seconds later. */
const CHATS: Step = {
  title: 'chats',
  sql: ({ days }) => `
    CREATE TEMP TABLE fill_chats AS
      SELECT a.user_id, a.n AS account, k, ${HOLD_ID} AS hold_id, 20 AS held, 1 + (r & 15) + (r >> 8 & 3) AS charged,
             a.began + ((k - 1 + (r >> 10 & 1023) / 1024.0) / a.chats) * (interval '${days} days' - interval '10 seconds') AS at,
             k = a.chats AND a.n % ${OPEN_EVERY} = 0 AS is_open,
             'model-' || (r & 7) AS model,
             CASE WHEN r & 1 = 0 THEN 'flow-' || (r >> 3 & 31) END AS chatflow_id,
             CASE WHEN a.n % 4 = 0 THEN 'workspace-' || (a.n % 200) END AS workspace_id,
             CASE WHEN r & 96 = 0 THEN 'accounting' ELSE 'chat-proxy' END AS opened_by,
             200 + (r & 1023) AS input, 50 + (r >> 4 & 511) AS output
      FROM fill_accounts a, generate_series(1, a.chats) AS k, LATERAL (SELECT hashtext(a.n || ':' || k) & 1048575 AS r) x;
    ANALYZE fill_chats;`,
};

const LOTS: Step = {
  title: 'lots and holds',
  sql: () => `
    CREATE TEMP TABLE fill_lots AS
      SELECT a.user_id, a.n AS id, a.began, a.chats * 20 + 1000 AS granted,
             coalesce(sum(c.charged) FILTER (WHERE NOT c.is_open), 0) AS consumed,
             coalesce(sum(c.held) FILTER (WHERE c.is_open), 0) AS held
      FROM fill_accounts a LEFT JOIN fill_chats c USING (user_id) GROUP BY a.user_id, a.n, a.began, a.chats;
    INSERT INTO credit_allocations (
      id, user_id, source, total_credits, remaining_credits, held_credits, consumed_credits, effective_at, allocated_by, allocated_at
    ) OVERRIDING SYSTEM VALUE
      SELECT id, user_id, 'admin', granted, granted - consumed - held, held, consumed, began, 'fill', began FROM fill_lots;
    INSERT INTO streaming_sessions (
      id, user_id, payer_id, opened_by, open_key, open_hash, upstream, model, chatflow_id, workspace_id, price_rule_id, units,
      status, held_credits, lease_expires_at, created_at, closed_at, close_key, close_hash, outcome, charged_credits, released_credits,
      available_after
    )
      SELECT hold_id, user_id, user_id, opened_by, hold_id, 'fill', 'openai', model, chatflow_id, workspace_id,
             (SELECT id FROM price_rules WHERE upstream = 'openai' AND model = '*'),
             jsonb_build_object('input', input, 'output', output), CASE WHEN is_open THEN 'active' ELSE 'settled' END, held,
             CASE WHEN is_open THEN ledger_now() + interval '1 day' ELSE at + interval '1 minute' END, at,
             CASE WHEN NOT is_open THEN at + interval '3 seconds' END, CASE WHEN NOT is_open THEN 'settle' END,
             CASE WHEN NOT is_open THEN 'fill' END, CASE WHEN NOT is_open THEN 'completed' END,
             CASE WHEN is_open THEN 0 ELSE charged END, CASE WHEN is_open THEN 0 ELSE held - charged END, 0
      FROM fill_chats ORDER BY at;
    INSERT INTO hold_lots (hold_id, allocation_id, held_credits, consumed_credits)
      SELECT hold_id, account, held, CASE WHEN is_open THEN 0 ELSE charged END FROM fill_chats ORDER BY at;
    SELECT setval('credit_allocations_id_seq', (SELECT max(id) FROM credit_allocations));`,
};

const USAGE: Step = {
  title: 'usage',
  sql: () => `
    INSERT INTO usage_logs (
      user_id, payer_id, service, operation, credits, hold_id, upstream, model, chatflow_id, workspace_id, input_tokens,
      output_tokens, units, usage_source, outcome, price_rule_id, "timestamp"
    )
      SELECT user_id, user_id, opened_by, 'chat', charged, hold_id, 'openai', model, chatflow_id, workspace_id, input, output,
             jsonb_build_object('input', input, 'output', output), 'provider', 'completed',
             (SELECT id FROM price_rules WHERE upstream = 'openai' AND model = '*'), at + interval '3 seconds'
      FROM fill_chats WHERE NOT is_open ORDER BY at;`,
};

/** The hash of a transaction covers the one before it, so an account's are hashed one after another; ids grow with time. */
const LEDGER: Step = {
  title: 'ledger',
  sql: () => `
    CREATE TEMP TABLE fill_steps AS
      SELECT row_number() OVER (ORDER BY at, account, seq) AS id, s.* FROM (
        SELECT user_id, id AS account, 1 AS seq, 'grant' AS type, granted AS available_change, 0::bigint AS held_change,
               NULL::uuid AS hold_id, id AS allocation_id, began AS at, 0 AS charged FROM fill_lots
        UNION ALL
        SELECT user_id, account, 2 * k, 'hold', -held, held, hold_id, NULL, at, 0 FROM fill_chats
        UNION ALL
        SELECT user_id, account, 2 * k + 1, 'settle', held - charged, -held, hold_id, NULL, at + interval '3 seconds', charged
          FROM fill_chats WHERE NOT is_open
      ) s;
    CREATE FUNCTION pg_temp.chained() RETURNS SETOF credit_transactions LANGUAGE plpgsql AS $$
    DECLARE
      s record;
      t credit_transactions;
      v_available bigint;
      v_held bigint;
      v_name text;
      v_accounts text[];
      v_amounts bigint[];
    BEGIN
      FOR s IN SELECT * FROM fill_steps ORDER BY account, seq LOOP
        IF s.seq = 1 THEN
          t := NULL;
          v_available := 0;
          v_held := 0;
          v_name := 'user:' || s.user_id;
        END IF;
        v_available := v_available + s.available_change;
        v_held := v_held + s.held_change;
        t := ROW(s.id, 'default', s.user_id, s.seq, s.type, s.available_change, s.held_change, 0, v_available, v_held, 0, s.hold_id,
                 s.allocation_id, NULL, 'fill', NULL, NULL, s.at, coalesce(t.hash, '\\x'), '\\x')::credit_transactions;
        v_accounts := CASE s.type
          WHEN 'grant' THEN ARRAY[v_name || ':available', 'issuance:admin']
          WHEN 'hold' THEN ARRAY[v_name || ':available', v_name || ':held']
          ELSE array_remove(ARRAY[CASE WHEN s.available_change <> 0 THEN v_name || ':available' END, v_name || ':held', 'revenue'], NULL)
        END;
        v_amounts := CASE s.type
          WHEN 'grant' THEN ARRAY[s.available_change, -s.available_change]
          WHEN 'hold' THEN ARRAY[s.available_change, s.held_change]
          ELSE array_remove(ARRAY[nullif(s.available_change, 0), s.held_change, s.charged], NULL) END;
        t.hash := ledger_hash(t, v_accounts, v_amounts);
        RETURN NEXT t;
      END LOOP;
    END $$;
    INSERT INTO credit_transactions OVERRIDING SYSTEM VALUE SELECT * FROM pg_temp.chained() ORDER BY id;
    SELECT setval('credit_transactions_id_seq', (SELECT max(id) FROM credit_transactions));`,
};

const ENTRIES: Step = {
  title: 'entries and heads',
  sql: () => `
    INSERT INTO credit_entries (transaction_id, entry_no, account, amount)
      SELECT s.id, row_number() OVER (PARTITION BY s.id ORDER BY e.n), e.account, e.amount
      FROM fill_steps s, LATERAL (VALUES
        (1, 'user:' || user_id || ':available', available_change), (2, 'user:' || user_id || ':held', held_change),
        (3, 'issuance:admin', CASE type WHEN 'grant' THEN -available_change ELSE 0 END), (4, 'revenue', charged)
      ) AS e (n, account, amount) WHERE e.amount <> 0 ORDER BY s.id, e.n;
    UPDATE user_accounts a SET
      total_credits = t.available_after, held_credits = t.held_after, ledger_seq = t.account_seq, ledger_hash = t.hash,
      updated_at = t.created_at
      FROM (SELECT DISTINCT ON (user_id) * FROM credit_transactions ORDER BY user_id, account_seq DESC) t WHERE a.id = t.user_id;`,
};

const STATISTICS: Step = {
  title: 'statistics',
  sql: () => 'VACUUM (ANALYZE)',
};

/** What to run, in order. */
export const FILL_STEPS: readonly Step[] = [ACCOUNTS, CHATS, LOTS, USAGE, LEDGER, ENTRIES, STATISTICS];
