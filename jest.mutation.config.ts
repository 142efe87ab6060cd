import type { Config } from 'jest';
import everything from './jest.config.ts';

const { globalSetup: _setup, globalTeardown: _teardown, testRunner: _runner, ...rest } = everything;

/** For `pnpm mutate`: the tests of pricing that need no database, so that each of hundreds of runs is short. */
const config: Config = {
  ...rest,
  // Stryker follows the coverage of each test through the sandboxes of jest's own runner.
  extensionsToTreatAsEsm: ['.ts'],
  testEnvironmentOptions: { customExportConditions: ['tollgate', 'node', 'node-addons'] },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  setupFiles: ['<rootDir>/scripts/mutation/no-shrinking.ts'],
  testMatch: [
    '<rootDir>/packages/contracts/tests/{credits,charge-vectors}.test.ts',
    '<rootDir>/services/accounting/tests/pricing/domain/*.test.ts',
  ],
};

export default config;
