import { Agent, type Dispatcher } from 'undici';
import type { Call } from './http-ask.ts';

export interface Streams {
  /** Opens so many, or as many as come in time; each counts once its first byte is there. */
  open(count: number, how: { readonly atOnce: number; readonly limitMs: number }): Promise<void>;
  /** Those that are open now. */
  count(): number;
  /** What was refused, or has ended by itself. */
  faults(): number;
  closeAll(): void;
}

const MOST = 20_000;

/** Streams that begin and then stay open. */
export function createStreams(next: () => Call): Streams {
  let agent: Agent | undefined;
  const running = new Set<Dispatcher.DispatchController>();
  let faults = 0;

  function openOne(on: Agent): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { origin, path, headers, body = '' } = next();
    let isGood = false;
    const over = (controller: Dispatcher.DispatchController): void => {
      // Those of an agent that was given up are closed on purpose.
      if (on === agent) faults += 1;
      running.delete(controller);
      resolve();
    };
    on.dispatch(
      { origin, path, method: 'POST', headers, body },
      {
        onRequestStart: () => undefined,
        onResponseStart(_controller, status) {
          isGood = status === 200;
        },
        onResponseData(controller) {
          if (isGood) running.add(controller);
          resolve();
        },
        onResponseEnd: (controller) => over(controller),
        onResponseError: (controller) => over(controller),
      },
    );
    return promise;
  }

  return {
    async open(count, { atOnce, limitMs }) {
      const on = (agent ??= new Agent({ connections: MOST, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 }));
      const end = performance.now() + limitMs;
      let left = count;
      const worker = async (): Promise<void> => {
        while (left > 0 && performance.now() < end) {
          left -= 1;
          await openOne(on);
        }
      };
      await Promise.all(Array.from({ length: atOnce }, worker));
    },
    count: () => running.size,
    faults: () => faults,
    closeAll() {
      const given = agent;
      agent = undefined;
      for (const controller of running) controller.abort(new Error('enough was seen'));
      running.clear();
      void given?.destroy().catch(() => undefined);
    },
  };
}
