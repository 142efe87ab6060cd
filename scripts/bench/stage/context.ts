import type { Pacing } from '../load/rounds.ts';
import type { Section } from '../report/section.ts';
import { type Payer, openAccounts } from './accounts.ts';
import type { Closers } from './closers.ts';
import { startPortkey, startThreeCalls, type ThreeCalls } from './peers.ts';
import type { Program } from './program.ts';
import { startWorld, type World } from './world.ts';

const PAYERS = 200;

/** Everything a bench may use. */
export interface Context {
  readonly quick: boolean;
  readonly pacing: Omit<Pacing, 'connections'>;
  readonly closers: Closers;
  readonly said: (text: string) => void;
  /** Started by the first bench that asks. */
  world(): Promise<World>;
  /** With credits, and tokens that were signed just now. */
  payers(): Promise<readonly Payer[]>;
  threeCalls(): Promise<ThreeCalls>;
  /** What answered as databases; nothing when none was needed. */
  engines(): Promise<readonly string[]>;
  portkey(): Promise<Program>;
}

export interface Bench {
  readonly name: string;
  /** In one sentence. */
  readonly about: string;
  /** Whether the quick form runs it. */
  readonly isQuick: boolean;
  readonly run: (context: Context) => Promise<Section>;
}

export interface ContextOptions extends Pick<Context, 'quick' | 'pacing'> {
  readonly closers: Closers;
  readonly said: (text: string) => void;
}

export function createContext(options: ContextOptions): Context {
  const { closers, said } = options;
  let world: Promise<World> | undefined;
  let opened: Promise<readonly Payer[]> | undefined;
  let reference: Promise<ThreeCalls> | undefined;
  let peer: Promise<Program> | undefined;
  const start = () => (world ??= startWorld(closers, said));
  return {
    ...options,
    world: start,
    engines: async () => {
      const databases = (await world?.catch(() => undefined))?.databases;
      return databases ? [`Databases: ${databases.postgres.engine}; ${databases.mongo.engine}; both durable.`] : [];
    },
    threeCalls: () => (reference ??= start().then((running) => startThreeCalls(running, closers))),
    portkey: () => (peer ??= startPortkey(closers)),
    payers: async () => {
      const { tokens } = await start();
      opened ??= start().then((running) => openAccounts(running, PAYERS));
      return Promise.all(
        (await opened).map(async ({ userId }) => ({ userId, token: await tokens.access({ userId }) })),
      );
    },
  };
}
