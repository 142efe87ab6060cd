// See setup.mjs.
export { LongestFirst as default } from '../src/jest/longest-first.ts';
