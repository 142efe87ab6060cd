import type { Config } from 'jest';

const config: Config = {
  testMatch: ['<rootDir>/{packages,services}/*/tests/**/*.test.ts', '<rootDir>/tests/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/.*/dist/', '<rootDir>/.tollgate/'],
  transform: {},
  testRunner: '<rootDir>/packages/test-kit/jest/run-file.mjs',
  testSequencer: '<rootDir>/packages/test-kit/jest/longest-first.mjs',
  globalSetup: '<rootDir>/packages/test-kit/jest/setup.mjs',
  globalTeardown: '<rootDir>/packages/test-kit/jest/teardown.mjs',
  // Far longer than any test takes, however busy the machine is: only what hangs may meet it.
  testTimeout: 120_000,
  // A worker that has come to more than this is replaced before the next file.
  workerIdleMemoryLimit: '2GB',
};

export default config;
