import pg from 'pg';

/** A write of any table, in a statement of its own or within one. */
export const WRITE = /\b(INSERT INTO|UPDATE|DELETE FROM) [a-z_]+/;
const LOCK = /FOR (NO KEY )?UPDATE|pg_advisory_xact_lock/;

const SETTINGS = {
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_nested_statements': 'on',
  'auto_explain.log_level': 'notice',
  client_min_messages: 'notice',
};

/** A connection on which the database writes down every statement, those inside of functions too. */
export class StatementLog {
  readonly client: pg.Client;
  readonly #said: string[] = [];

  private constructor(client: pg.Client) {
    this.client = client;
    client.on('notice', ({ message }) => {
      const [, text] = /Query Text: ([\s\S]*?)\n[^\n]*\(cost=/.exec(message ?? '') ?? [];
      if (text !== undefined) this.#said.push(text.replaceAll(/\s+/g, ' ').trim());
    });
  }

  static async open(url: string): Promise<StatementLog> {
    const client = new pg.Client({ connectionString: url });
    const log = new StatementLog(client);
    await client.connect();
    await client.query("LOAD 'auto_explain'");
    for (const setting of Object.entries(SETTINGS)) await client.query('SELECT set_config($1, $2, false)', setting);
    return log;
  }

  /** Locks and writes in order, in one transaction that is not undone. A statement comes when it has ended: the outer one last. */
  async of(statement: string, values: unknown[] = []): Promise<string[]> {
    this.#said.length = 0;
    await this.client.query('BEGIN');
    await this.client.query(statement, values);
    await this.client.query('COMMIT');
    return this.#said.filter((text) => WRITE.test(text) || LOCK.test(text));
  }

  /** Those of a function of the ledger that takes one record. */
  ofCall(name: string, type: string, value: object): Promise<string[]> {
    return this.of(`SELECT * FROM ledger.${name}(jsonb_populate_record(NULL::ledger.${type}, $1))`, [
      JSON.stringify(value),
    ]);
  }

  close(): Promise<void> {
    return this.client.end();
  }
}
