import type { Config } from 'jest';
import everything from './jest.config.ts';

const { globalSetup: _setup, globalTeardown: _teardown, ...rest } = everything;

/** For `pnpm mutate`: the tests of pricing that need no database, so that each of hundreds of runs is short. */
const config: Config = {
  ...rest,
  setupFiles: ['<rootDir>/scripts/mutation/no-shrinking.ts'],
  testMatch: [
    '<rootDir>/packages/contracts/tests/{credits,charge-vectors}.test.ts',
    '<rootDir>/services/accounting/tests/pricing/domain/*.test.ts',
  ],
};

export default config;
