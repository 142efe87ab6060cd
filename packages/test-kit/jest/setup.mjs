// Jest compiles a TypeScript setup to CommonJS; imported from here, Node runs it as the ES module that it is.
export { default } from '../src/global-setup.ts';
