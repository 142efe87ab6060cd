import { isMainThread } from 'node:worker_threads';

// Loaded before a service that belongs to a test: when whoever has started it is gone, killed or not, its standard input ends.
// Threads of the service load it as well, and go with it.
if (isMainThread) {
  process.stdin.on('error', () => undefined);
  process.stdin.once('close', () => process.kill(process.pid, 'SIGKILL'));
  process.stdin.resume();
  process.stdin.unref();
}
