// See setup.mjs.
export { runFile as default } from '../src/jest/run-file.ts';
