import { readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { readTree } from '../scripts/house-rules/source-tree.ts';

// The script that mongosh runs in compose, run here against a server that only notes what it is told: no mongod is needed to see
// what the role of auth may do, but that mongod then holds to it is not proven here.

type Command = Record<string, unknown>;
type Privilege = { resource: { db: string; collection: string }; actions: string[] };

function commandsOf(script: string): Command[] {
  const commands: Command[] = [];
  const runCommand = (command: Command) => {
    commands.push(command);
    return { isWritablePrimary: true, users: [], roles: [] };
  };
  const secrets: Readonly<Record<string, string>> = {
    auth_mongodb_uri: 'mongodb://tollgate_auth:x@mongo:27017/tollgate_auth',
    chat_mongodb_uri: 'mongodb://tollgate_chat:x@mongo:27017/tollgate_chat',
  };
  const readSecret = (path: string) => secrets[path.replace('/run/secrets/', '')] ?? 'x';
  const Mongo = class {
    getDB = () => ({ runCommand });
  };
  const surroundings = { Mongo, URL, print: () => {}, sleep: () => {}, require: () => ({ readFileSync: readSecret }) };
  runInContext(script, createContext(surroundings));
  return commands;
}

const commands = commandsOf(readFileSync('infra/mongo/init-replica-set.js', 'utf8'));
const role = commands.find((command) => 'createRole' in command) as Command & {
  privileges: Privilege[];
  roles: unknown[];
};
const actionsOn = (collection: string) =>
  role.privileges.find(({ resource }) => resource.collection === collection)?.actions ?? [];

const sources = readTree('.').files.filter(({ path }) => path.startsWith('services/auth/src/'));
const collections = new Set(
  sources
    .filter(({ path }) => path.includes('/store/'))
    .flatMap(({ text }) => [...text.matchAll(/(?:collection: |collection(?:<\w+>)?\(|COLLECTION = )'(\w+)'/g)])
    .map(([, name]) => String(name)),
);
const APPEND_ONLY = ['audit_log', 'audit_anchors'];

describe('the database role of auth', () => {
  it('is all that its user has, and names each collection of the service', () => {
    const user = commands.find((command) => command['createUser'] === 'tollgate_auth');
    expect(user?.['roles']).toEqual([{ role: role['createRole'], db: 'tollgate_auth' }]);
    expect(role.roles).toEqual([]);
    expect([...collections].filter((name) => actionsOn(name).length === 0)).toEqual([]);
  });

  it.each(APPEND_ONLY)('adds to %s and reads it, and may neither change nor remove', (name) => {
    expect(actionsOn(name)).toEqual(expect.arrayContaining(['find', 'insert']));
    expect(actionsOn(name).filter((action) => !/^(find|insert|create|list|collStats)/.test(action))).toEqual([]);
  });
});

it('has no code that would change or remove a line of the audit log', () => {
  const naming = sources.filter(({ text }) => APPEND_ONLY.some((name) => text.includes(`'${name}'`)));
  expect(naming.map(({ path }) => path).sort()).toEqual([
    'services/auth/src/store/audit/audit-rows.ts',
    'services/auth/src/store/migrations/0001-accounts-and-sessions.ts',
    'services/auth/src/store/migrations/0007-audit.ts',
  ]);
  const touching = sources.filter(({ text }) => /audit-rows\.ts'|(AUDIT|ANCHOR)_COLLECTION/.test(text));
  expect(touching.length).toBeGreaterThan(2);
  const changing = /\.((update|delete)(One|Many)|replaceOne|findOneAnd\w+|bulkWrite|drop|rename)\(/;
  expect(touching.filter(({ text }) => changing.test(text)).map(({ path }) => path)).toEqual([]);
});
