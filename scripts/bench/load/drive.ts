import { setTimeout as pause } from 'node:timers/promises';
import { type Asked, openAgent, type Call, httpAsk } from './http-ask.ts';

/** Whom to ask, over so many connections. */
export interface Source {
  /** Never rejects: what goes wrong is a fault. */
  ask(): Promise<Asked>;
  close(): Promise<void>;
}
export type Open = (connections: number) => Source;

/** What came of driving a server for a while. Times in milliseconds. */
export interface Driven {
  readonly seconds: number;
  readonly answers: number;
  readonly faults: number;
  readonly firstFault: string | undefined;
  readonly firstBytes: readonly number[];
  readonly durations: readonly number[];
  /** When each was asked for, in order. */
  readonly begins: readonly number[];
  /** In how many pieces an answer came, on average. */
  readonly pieces: number;
}

export interface Load {
  readonly open: Open;
  readonly connections: number;
  readonly milliseconds: number;
  /** The connections begin one after another over this time. */
  readonly spreadMs?: number;
}

/** Asks over all connections, on each as soon as its last answer is whole, for a while. */
export async function drive({ open, connections, milliseconds, spreadMs = 0 }: Load): Promise<Driven> {
  const source = open(connections);
  const firstBytes: number[] = [];
  const durations: number[] = [];
  const begins: number[] = [];
  let allPieces = 0;
  let faults = 0;
  let firstFault: string | undefined;
  const began = performance.now();
  const end = began + milliseconds;
  const worker = async (_: unknown, at: number): Promise<void> => {
    if (spreadMs > 0) await pause((spreadMs * at) / connections);
    while (performance.now() < end) {
      const asked = performance.now();
      begins.push(asked);
      const { firstByte, pieces, fault } = await source.ask();
      if (fault === undefined) {
        firstBytes.push(firstByte - asked);
        durations.push(performance.now() - asked);
        allPieces += pieces;
      } else {
        faults += 1;
        firstFault ??= fault;
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  const seconds = (performance.now() - began) / 1000;
  await source.close();
  const answers = durations.length;
  const pieces = allPieces / Math.max(1, answers);
  return { seconds, answers, faults, firstFault, firstBytes, durations, begins, pieces };
}

/** Over HTTP. */
export const overHttp =
  (next: () => Call): Open =>
  (connections) => {
    const agent = openAgent(connections);
    return { ask: () => httpAsk(agent, next()), close: () => agent.close() };
  };

/** By a function that rejects when something is wrong. */
export const byCalling =
  (call: () => Promise<unknown>, close: () => Promise<void> = async () => undefined): Open =>
  () => ({
    close,
    ask: async () => {
      try {
        await call();
        return { firstByte: performance.now(), pieces: 1, fault: undefined };
      } catch (error) {
        return { firstByte: 0, pieces: 0, fault: String(error) };
      }
    },
  });
