import { createRequire, registerHooks } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ModernFakeTimers } from '@jest/fake-timers';
import { bindGlobals, type jest } from './globals.ts';

type CircusArguments = [
  globalConfig: unknown,
  config: ConstructorParameters<typeof ModernFakeTimers>[0]['config'],
  environment: unknown,
  runtime: unknown,
  path: string,
  tell: unknown,
];
type Circus = (...given: CircusArguments) => Promise<unknown>;

const require = createRequire(import.meta.url);
const circus = (require('jest-circus/runner') as { default: Circus }).default;
const adapter = join(dirname(require.resolve('jest-circus/runner')), 'jestAdapterInit.js');
const globals = new URL('globals.ts', import.meta.url).href;
const ofTests = /\/tests\/(?!.*node_modules\/)[^?]*\.ts$/;
let filesRun = 0;

registerHooks({
  resolve(specifier, context, next) {
    const { url, ...found } = next(specifier === '@jest/globals' ? globals : specifier, context);
    return { ...found, url: ofTests.test(url) ? `${url}?file=${filesRun}` : url };
  },
});

/**
 * Runs a test file as a module of Node's, not in a sandbox of jest's: sources and dependencies are evaluated once for each
 * worker instead of once for each file. What lies in a folder called `tests` is still evaluated anew for every file, so that
 * nothing that tests keep in their modules reaches another file.
 */
export function runFile(...[globalConfig, config, , , path, tell]: CircusArguments): Promise<unknown> {
  filesRun += 1;
  const clock = new ModernFakeTimers({ config, global: globalThis });
  const runtime = {
    requireInternalModule(module: string): unknown {
      if (module !== adapter) throw new Error(`jest-circus asks for ${module}`);
      return newCircus();
    },
    setGlobalsForRuntime: (found: Parameters<typeof bindGlobals>[0]) =>
      bindGlobals(found, Object.assign(clock, { setTimeout }) as unknown as typeof jest),
    unstable_shouldLoadAsEsm: () => true,
    unstable_importModule: (file: string) => import(pathToFileURL(file).href),
    requireModule: require,
    enterTestCode: () => undefined,
    leaveTestCode: () => undefined,
  };
  const listeners = listenersOfProcess();
  // Not awaited: this function has no place in the stack of every error.
  return circus(globalConfig, config, { global: globalThis }, runtime, path, tell).finally(() => {
    clock.dispose();
    restore(listeners);
  });
}

const longestTest = Symbol.for('TEST_TIMEOUT_SYMBOL');
/** How circus is told the limit of the tests of a file. */
const setTimeout = (milliseconds: number): boolean => Reflect.set(globalThis, longestTest, milliseconds);
const ofCircus = new Set(['JEST_STATE_SYMBOL', 'EVENT_HANDLERS', longestTest.description]);

/** Circus keeps the tests that it was told of in its modules and in globals: every file gets one that is new. */
function newCircus(): unknown {
  for (const symbol of Object.getOwnPropertySymbols(globalThis))
    if (ofCircus.has(symbol.description)) Reflect.deleteProperty(globalThis, symbol);
  Reflect.deleteProperty(require.cache, adapter);
  return require(adapter);
}

const events: NodeJS.EventEmitter = process;
type Listener = Parameters<typeof events.on>[1];
type Listeners = ReadonlyMap<string | symbol, readonly Listener[]>;

const listenersOfProcess = (): Listeners =>
  new Map(events.eventNames().map((event) => [event, events.rawListeners(event) as Listener[]]));

/** A file that could not be loaded leaves circus' listeners behind, and a test may leave its own. */
function restore(before: Listeners): void {
  for (const [event, now] of listenersOfProcess())
    for (const listener of now) if (!before.get(event)?.includes(listener)) events.removeListener(event, listener);
  for (const [event, listeners] of before)
    for (const listener of listeners) if (!events.rawListeners(event).includes(listener)) events.on(event, listener);
}
