import type { mongo } from 'mongoose';

const TICK_MS = 250;
const HEARD = ['serverHeartbeatStarted', 'serverHeartbeatSucceeded', 'serverHeartbeatFailed'] as const;

/**
 * Resolves when the driver's watch over its servers, once heard, has said nothing for so long, or when the signal is aborted.
 *
 * The driver puts one question to a server at a time. If the socket breaks in the instant in which the question is written, the
 * driver waits for ever for room to write it (mongodb 7.8, `Connection.writeCommand`): no answer, no failure, no further question,
 * and a server that is long back counts as away until the process is started again.
 */
export function driverSilence(client: mongo.MongoClient, silentMs: number, signal: AbortSignal): Promise<void> {
  // Ticks and no clock: a process that was stopped, or had no time, has heard nothing because it did not listen.
  let ticks = 0;
  let isHeard = false;
  const heard = (): void => {
    ticks = 0;
    isHeard = true;
  };
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(() => {
    ticks += 1;
    if (isHeard && ticks * TICK_MS >= silentMs) resolve();
  }, TICK_MS).unref();
  for (const event of HEARD) client.on(event, heard);
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (signal.aborted) resolve();
  return promise.finally(() => {
    clearInterval(timer);
    for (const event of HEARD) client.off(event, heard);
  });
}
