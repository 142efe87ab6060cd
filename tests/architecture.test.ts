import { describe, expect, it } from '@jest/globals';
import { flowsAreBuilt, flowsAreStarted } from '../scripts/house-rules/flows.ts';
import { lockfileHasNoUrls, noMachinePaths, noRegistryHosts } from '../scripts/house-rules/leaks.ts';
import { mountedOnce } from '../scripts/house-rules/operations.ts';
import {
  chatFlowFitsOnTwoPages,
  domainDoesNotWait,
  filesAreShort,
  foldersAreSmall,
  namesSaySomething,
  noFolderIsEmpty,
  oneDriverPerFile,
  servicesHaveFiveLayers,
  timeIsInjected,
} from '../scripts/house-rules/shape.ts';
import { readTree, type Rule, type SourceTree } from '../scripts/house-rules/source-tree.ts';
import { CONTRACTS } from '../scripts/openapi.ts';

// Who may import whom is judged by .dependency-cruiser.mjs (see import-rules.test.ts) and sizes by scripts/check-shape.ts;
// both run in scripts/check.ts. Here is what needs the contracts, and the proof that each rule of our own can fail.

const tree = readTree('.');

describe('the architecture', () => {
  it.each(['auth', 'accounting', 'chat-proxy'] as const)('mounts every operation of %s exactly once', (service) => {
    expect(mountedOnce(service, CONTRACTS[service])(tree)).toEqual([]);
  });

  it('lets a route, a schedule or a command start every flow', () => {
    expect([...flowsAreBuilt(tree), ...flowsAreStarted(tree)]).toEqual([]);
  });

  it('tells what happens to a chat request on two pages', () => {
    expect(chatFlowFitsOnTwoPages(tree)).toEqual([]);
  });
});

/** A tree of the given files, by path. */
const treeOf = (texts: Readonly<Record<string, string>>, emptyFolders: string[] = []): SourceTree => ({
  files: Object.entries(texts).map(([path, text]) => ({ path, text })),
  emptyFolders,
});

const lines = (count: number) => 'x;\n'.repeat(count);
const many = (folder: string, count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`${folder}/f${index}.ts`, '']));
/** Spelt in two parts, because the rules read this file as well. */
const SLASH = '/';
const FLOW = 'services/auth/src/flows/log-in.ts';
const DEPS = 'services/auth/src/deps.ts';
const BUILDS = "import { createLogIn } from './flows/log-in.ts';\nreturn {\n  logIn: createLogIn(deps),\n};\n";
const RUNS = 'export const createLogIn = () => 1;';
const operation = { id: 'logIn', method: 'POST', path: '/api/auth/login' };

interface Sample {
  readonly name: string;
  readonly rule: Rule;
  readonly good: SourceTree;
  readonly bad: SourceTree;
  readonly says: readonly string[];
}

const SAMPLES: readonly Sample[] = [
  {
    name: 'a file, a document or a script is too long',
    rule: filesAreShort,
    good: treeOf({ 'packages/x/src/a.ts': lines(300), 'README.md': lines(150), 'docs/adr/0001-x.md': lines(60) }),
    bad: treeOf({ 'packages/x/src/a.ts': lines(301), 'README.md': lines(151), 'docs/adr/0001-x.md': lines(61) }),
    says: ['packages/x/src/a.ts: has 301', 'README.md: has 151', 'docs/adr/0001-x.md: has 61'],
  },
  {
    name: 'the chat flow is too long',
    rule: chatFlowFitsOnTwoPages,
    good: treeOf({ 'services/chat-proxy/src/flows/chat.ts': lines(120) }),
    bad: treeOf({ 'services/chat-proxy/src/flows/chat.ts': lines(121) }),
    says: ['services/chat-proxy/src/flows/chat.ts: has 121'],
  },
  {
    name: 'the chat flow is missing',
    rule: chatFlowFitsOnTwoPages,
    good: treeOf({ 'services/chat-proxy/src/flows/chat.ts': '' }),
    bad: treeOf({}),
    says: ['services/chat-proxy/src/flows/chat.ts: is missing'],
  },
  {
    name: 'a folder is crowded',
    rule: foldersAreSmall,
    good: treeOf({ ...many('a', 20), ...many('services/auth/src/store/migrations', 30) }),
    bad: treeOf(many('a', 21)),
    says: ['a: holds 21 files'],
  },
  {
    name: 'a folder is empty',
    rule: noFolderIsEmpty,
    good: treeOf({}),
    bad: treeOf({}, ['infra']),
    says: ['infra: is empty'],
  },
  {
    name: 'a name says nothing',
    rule: namesSaySomething,
    good: treeOf({ 'packages/jwt-claims/src/common-passwords.ts': '' }),
    bad: treeOf({ 'packages/utils/src/a.ts': '', 'packages/x/src/date-helper.ts': '', 'packages/x/src/aB.ts': '' }),
    says: ['packages/utils:', 'packages/x/src/date-helper.ts:', 'packages/x/src/aB.ts: file names are lower case'],
  },
  {
    name: 'a file lies in no layer',
    rule: servicesHaveFiveLayers,
    good: treeOf({ [FLOW]: '', [DEPS]: '' }),
    bad: treeOf({ 'services/auth/src/lib/a.ts': '' }),
    says: ['services/auth/src/lib/a.ts: lies in no layer'],
  },
  {
    name: 'a store uses two drivers',
    rule: oneDriverPerFile,
    good: treeOf({ 'services/auth/src/store/a.ts': "import { Sequelize } from 'sequelize';\nimport pg from 'pg';\n" }),
    bad: treeOf({ 'services/auth/src/store/a.ts': "import { Pool } from 'undici';\nimport pg from 'pg';\n" }),
    says: ['services/auth/src/store/a.ts: imports undici and postgres'],
  },
  {
    name: 'a flow looks at the clock',
    rule: timeIsInjected,
    good: treeOf({ [FLOW]: 'const at = new Date(clock.now());' }),
    bad: treeOf({ [FLOW]: '\nconst at = new Date();' }),
    says: [`${FLOW}:2: take the time`],
  },
  {
    name: 'the domain waits',
    rule: domainDoesNotWait,
    good: treeOf({ 'services/auth/src/domain/a.ts': '/** Nothing to await here. */', [FLOW]: 'await x;' }),
    bad: treeOf({ 'services/auth/src/domain/a.ts': 'export async function x() {}' }),
    says: ['services/auth/src/domain/a.ts:1: domain decides at once'],
  },
  {
    name: 'a path of one machine is committed',
    rule: noMachinePaths,
    good: treeOf({
      'a.md': 'See /api/users/x, ./home/a, /home/node/app, https://x.test/work/y and /var/lib/postgresql.',
    }),
    bad: treeOf({ 'a.md': `\n${SLASH}home/alice/x`, 'b.sh': `cd ${SLASH}work/main`, 'c.md': `C:${'\\'}x` }),
    says: ['a.md:2:', 'b.sh:1:', 'c.md:1:'],
  },
  {
    name: 'a package registry is named',
    rule: noRegistryHosts,
    good: treeOf({ 'a.md': 'The registry is the machine’s affair: new Registry(), registry.register(x)' }),
    bad: treeOf({
      '.npmrc': `registry=https:${SLASH}/npm.example.test`,
      'a.sh': `curl https:${SLASH}/deb.${'debian'}.org/x`,
    }),
    says: ['.npmrc:1:', 'a.sh:1:'],
  },
  {
    name: 'the lockfile holds an address',
    rule: lockfileHasNoUrls,
    good: treeOf({ 'pnpm-lock.yaml': 'resolution: {integrity: sha512-x}' }),
    bad: treeOf({ 'pnpm-lock.yaml': `resolution: {tar${'ball'}: https:${SLASH}/x}` }),
    says: ['pnpm-lock.yaml:1:'],
  },
  {
    name: 'an operation is mounted twice, never, or is unknown',
    rule: mountedOnce('auth', { logIn: operation, logOut: { ...operation, id: 'logOut' }, Schema: {} }),
    good: treeOf({ 'services/auth/src/routes/a.ts': 'serve(auth.logIn).with(x),\nserve(logOut).with(y)' }),
    bad: treeOf({ 'services/auth/src/routes/a.ts': 'serve(auth.logIn).with(x), serve(logIn), serve(auth.fly)' }),
    says: [
      'services/auth/src/routes: logIn is mounted 2',
      'services/auth/src/routes: logOut is mounted 0',
      'services/auth/src/routes: fly is in no contract',
    ],
  },
  {
    name: 'a flow is not built',
    rule: flowsAreBuilt,
    good: treeOf({ [FLOW]: RUNS, [DEPS]: BUILDS, 'services/auth/src/flows/types.ts': 'export type X = 1;' }),
    bad: treeOf({ [FLOW]: RUNS, [DEPS]: "import type { LogIn } from './flows/log-in.ts';" }),
    says: [`${FLOW}: deps.ts does not build`],
  },
  {
    name: 'a flow is built and never started',
    rule: flowsAreStarted,
    good: treeOf({ [FLOW]: '', [DEPS]: BUILDS, 'services/auth/src/routes/a.ts': 'flows.logIn(body)' }),
    bad: treeOf({ [FLOW]: 'logIn', [DEPS]: BUILDS, 'services/auth/src/routes/a.ts': 'flows.logInAgain(body)' }),
    says: [`${DEPS}: builds logIn, and nothing starts it`],
  },
];

describe('a rule fails when', () => {
  it.each(SAMPLES)('$name', ({ rule, good, bad, says }) => {
    expect(rule(good)).toEqual([]);
    const violations = rule(bad);
    expect(violations).toHaveLength(says.length);
    for (const [index, sentence] of says.entries()) expect(violations[index]).toContain(sentence);
  });
});
