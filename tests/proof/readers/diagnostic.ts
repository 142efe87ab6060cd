// Loaded into a service by the proof alone (`--import`): on SIGUSR2 it writes down what the process holds on to.
import { subscribe } from 'node:diagnostics_channel';
import { renameSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const file = process.env.DIAGNOSTIC_FILE ?? '';
const NANOSECONDS = 1e6;
const MICROSECONDS = 1000;
const TICK_MS = 10;
const SETTLING_MS = 100;
const delay = monitorEventLoopDelay({ resolution: TICK_MS });
delay.enable();
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Processor time of the event loop between two ticks: what the delay is of it where it need not share its core. */
const work = createHistogram();
let usedBefore = process.threadCpuUsage();
setInterval(() => {
  const { user, system } = process.threadCpuUsage(usedBefore);
  usedBefore = process.threadCpuUsage();
  work.record(Math.max(1, user + system));
}, TICK_MS).unref();

/** Bytes of sockets, those that have gone included. */
function countBytes(channel: string, bytesOf: (socket: Socket) => number): () => number {
  const open = new Set<Socket>();
  let gone = 0;
  subscribe(channel, (message) => {
    const { socket } = message as { socket: Socket };
    if (open.has(socket)) return;
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      gone += bytesOf(socket);
    });
  });
  return () => [...open].reduce((sum, socket) => sum + bytesOf(socket), gone);
}
const taken = countBytes('net.client.socket', ({ bytesRead }) => bytesRead);
const handedOn = countBytes('http.server.request.start', (socket) => socket.bytesWritten - socket.writableLength);

process.on('SIGUSR2', () => {
  const resources: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
  const delayMs = { median: delay.percentile(50) / NANOSECONDS, p99: delay.percentile(99) / NANOSECONDS };
  const workMs = { median: work.percentile(50) / MICROSECONDS, p99: work.percentile(99) / MICROSECONDS };
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const seen = {
    resources,
    heapMegabytes: heapUsed / 2 ** 20,
    bufferMegabytes: arrayBuffers / 2 ** 20,
    delayMs,
    workMs,
    takenBytes: taken(),
    handedOnBytes: handedOn(),
  };
  // The counters begin anew once the collection of garbage is behind them.
  setTimeout(() => {
    delay.reset();
    work.reset();
    writeFileSync(`${file}.new`, JSON.stringify(seen));
    renameSync(`${file}.new`, file);
  }, SETTLING_MS);
});
