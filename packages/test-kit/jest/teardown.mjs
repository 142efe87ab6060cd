// See setup.mjs.
export { default } from '../src/global-teardown.ts';
