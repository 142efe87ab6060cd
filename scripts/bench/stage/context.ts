import type { Section } from '../report/section.ts';
import { type Payer, openAccounts } from './accounts.ts';
import type { Closers } from './closers.ts';
import { startWorld, type World } from './world.ts';

const PAYERS = 200;

/** Everything a bench may use. */
export interface Context {
  readonly quick: boolean;
  readonly closers: Closers;
  readonly said: (text: string) => void;
  /** Started by the first bench that asks. */
  world(): Promise<World>;
  /** With credits, and tokens that were signed just now. */
  payers(): Promise<readonly Payer[]>;
}

export interface Bench {
  readonly name: string;
  /** In one sentence. */
  readonly about: string;
  /** Whether the quick form runs it. */
  readonly isQuick: boolean;
  readonly run: (context: Context) => Promise<Section>;
}

export function createContext(quick: boolean, closers: Closers, said: (text: string) => void): Context {
  let world: Promise<World> | undefined;
  let opened: Promise<readonly Payer[]> | undefined;
  const start = () => (world ??= startWorld(closers, said));
  return {
    quick,
    closers,
    said,
    world: start,
    payers: async () => {
      const { tokens } = await start();
      opened ??= start().then((running) => openAccounts(running, PAYERS));
      return Promise.all(
        (await opened).map(async ({ userId }) => ({ userId, token: await tokens.access({ userId }) })),
      );
    },
  };
}
