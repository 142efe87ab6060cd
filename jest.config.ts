import type { Config } from 'jest';

const config: Config = {
  testMatch: ['<rootDir>/{packages,services}/*/tests/**/*.test.ts', '<rootDir>/tests/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/.*/dist/', '<rootDir>/.tollgate/'],
  extensionsToTreatAsEsm: ['.ts'],
  testEnvironmentOptions: { customExportConditions: ['tollgate', 'node', 'node-addons'] },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  globalSetup: '<rootDir>/packages/test-kit/jest/setup.mjs',
  globalTeardown: '<rootDir>/packages/test-kit/jest/teardown.mjs',
  testTimeout: 30_000,
  // A worker keeps every module of every file it has run: beyond this it is replaced before the next file.
  workerIdleMemoryLimit: '2GB',
};

export default config;
