import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { readTree } from '../../scripts/house-rules/source-tree.ts';

const page = readFileSync('docs/scaling.md', 'utf8');
const plan = (file: string): string => readFileSync(`infra/helm/tollgate/sharding/${file}`, 'utf8');

describe('the distribution of PostgreSQL in docs/scaling.md', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| (distributed|reference|coordinator) \| (\S+) \|/gm)].map(
    ([, table = '', how = '', column = '']) => ({ table, how, column }),
  );

  it('names every table of the migrations and no other', () => {
    const folder = 'services/accounting/src/store/migrations';
    const sql = readdirSync(folder)
      .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
      .join('\n');
    const made = [...sql.matchAll(/CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)/g)].map(([, name = '']) => name);
    expect(rows.map(({ table }) => table).toSorted()).toEqual([...made, 'schema_migrations'].toSorted());
  });

  it('gives a column to exactly those that are distributed', () => {
    expect(rows.filter(({ how, column }) => (how === 'distributed') === (column === '–'))).toEqual([]);
  });

  it('is what the plan for Citus says', () => {
    const [reference = '', accounts = '', owned = '', rest = ''] = plan('citus.sql').split(/;\n/);
    const namesIn = (text: string) => [...text.matchAll(/'([a-z_]+)'/g)].map(([, name = '']) => name);
    const tablesOf = (wanted: string) => rows.filter(({ how }) => how === wanted).map(({ table }) => table);
    expect(namesIn(reference.slice(reference.indexOf('ARRAY'))).toSorted()).toEqual(tablesOf('reference').toSorted());
    const distributed = [...namesIn(accounts).slice(0, 1), ...namesIn(owned.slice(owned.indexOf('ARRAY')))];
    expect(distributed.toSorted()).toEqual(tablesOf('distributed').toSorted());
    for (const table of tablesOf('coordinator')) expect(rest).toMatch(new RegExp(`\\b${table}\\b`));
  });
});

describe('the shard keys of MongoDB in docs/scaling.md', () => {
  const rows = [...page.matchAll(/^\| (auth|chat-proxy) \| `([\w.]+)` \| ([^|]+) \|/gm)].map(
    ([, service = '', name = '', key = '']) => ({ service, name, key: key.trim() }),
  );
  const { files } = readTree('.');

  it.each(['auth', 'chat-proxy'])('name every collection of %s and no other', (service) => {
    const texts = files.filter(({ path }) =>
      [`services/${service}/src/`, 'packages/mongo-kit/src/'].some((folder) => path.startsWith(folder)),
    );
    const named = texts.flatMap(({ text }) => [
      ...text.matchAll(/(?:collection: |collection(?:<\w+>)?\(|COLLECTION = )'([a-z_.]+)'/g),
    ]);
    const used = [...new Set(named.map(([, name = '']) => name))].toSorted();
    expect(rows.filter((row) => row.service === service).map(({ name }) => name)).toEqual(used);
  });

  it('are what the plan for mongosh says', () => {
    const asRow = (keys: string) =>
      keys.includes('hashed')
        ? `\`${keys.split(':')[0]?.trim()}\` hashed`
        : keys
            .split(',')
            .map((each) => `\`${each.split(':')[0]?.trim()}\``)
            .join(', ');
    const [chat = '', auth = ''] = plan('mongo.js').split('chat}.${name}`');
    const planned = (service: string, text: string) =>
      [...text.matchAll(/^ {2}'?([\w.]+)'?: \{ (.+) \},$/gm)].map(
        ([, name, keys = '']) => `${service} ${name} ${asRow(keys)}`,
      );
    const said = rows.filter(({ key }) => key !== '–').map(({ service, name, key }) => `${service} ${name} ${key}`);
    expect([...planned('chat-proxy', chat), ...planned('auth', auth)].toSorted()).toEqual(said.toSorted());
  });
});
