// The command behind ./scripts/dev: starts a runner in a session of its own, shows what it does, and ends it.
// The runner is apart so that Ctrl-C reaches it alone and services and databases stop in the right order.
import { fork } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { paths } from './paths.ts';
import { print } from './progress.ts';
import { isAlive, readState, runningPid } from './state.ts';

const STOP_TIMEOUT_MS = 60_000;
const USAGE = `Usage: ./scripts/dev [--fresh] [--detach] [--watch] | --stop
  --fresh    forget all data, secrets and users of this checkout first
  --detach   return when everything is ready; end it with --stop
  --watch    restart a service when its source changes
  --stop     end the running platform

Environment: AUTH_PORT, CHAT_PROXY_PORT, ACCOUNTING_PORT choose other ports; DATABASE_URL and MONGODB_URI name databases
of yours; FLOWISE_API_URL with FLOWISE_API_KEY, OPENAI_BASE_URL with OPENAI_API_KEY replace the demo AI server.`;

type RunnerMessage = { line: string } | { ready: true } | { trouble: string };

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function stop(): Promise<number> {
  const pid = runningPid();
  if (pid === undefined) {
    print('Nothing is running.');
    return 0;
  }
  process.kill(pid, 'SIGTERM');
  const end = performance.now() + STOP_TIMEOUT_MS;
  while (isAlive(pid) && performance.now() < end) await pause(50);
  if (isAlive(pid)) {
    print(`The platform (process ${pid}) is still stopping after ${STOP_TIMEOUT_MS / 1000} s; see ${paths.runnerLog}`);
    return 1;
  }
  print('Stopped.');
  return 0;
}

function refuseSecondStart(pid: number): number {
  const state = readState();
  print(`Tollgate already runs from this folder (process ${pid}).`);
  if (state?.ready)
    print(`  auth ${state.urls.auth}   chat-proxy ${state.urls.chatProxy}   accounting ${state.urls.accounting}`);
  print('  To end it:      ./scripts/dev --stop\n  To start over:  ./scripts/dev --stop && ./scripts/dev --fresh');
  return 1;
}

function forgetEverything(): void {
  for (const path of [paths.databases, paths.secrets, paths.state, paths.logs])
    rmSync(path, { recursive: true, force: true });
  print('Data, secrets and users of this checkout are gone.');
}

async function start(options: { detach: boolean; watch: boolean }): Promise<number> {
  mkdirSync(paths.logs, { recursive: true });
  const log = openSync(paths.runnerLog, 'a');
  const runner = fork(new URL('./runner.ts', import.meta.url), options.watch ? ['--watch'] : [], {
    detached: true,
    execArgv: ['--conditions=tollgate', '--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', log, log, 'ipc'],
  });
  let detached = false;
  let trouble = false;
  const ended = new Promise<number>((resolve) => {
    runner.on('exit', (code) => {
      if (code !== 0 && !trouble)
        print(
          `\nIt did not start. The end of ${paths.runnerLog}:\n${readFileSync(paths.runnerLog, 'utf8').split('\n').slice(-15).join('\n')}`,
        );
      resolve(code ?? 1);
    });
    runner.on('message', (message: RunnerMessage) => {
      if ('line' in message) print(message.line);
      else if ('trouble' in message) {
        trouble = true;
        print(`\n${message.trouble}`);
      } else if (options.detach) {
        detached = true;
        runner.send('stay', () => {
          runner.disconnect();
          runner.unref();
          resolve(0);
        });
      }
    });
  });
  const forward = (): void => {
    if (!detached) runner.kill('SIGTERM');
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, forward);
  return ended;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      fresh: { type: 'boolean', default: false },
      detach: { type: 'boolean', default: false },
      watch: { type: 'boolean', default: false },
      stop: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    print(USAGE);
    return 0;
  }
  if (values.stop) return stop();
  const pid = runningPid();
  if (pid !== undefined) return refuseSecondStart(pid);
  if (values.fresh) forgetEverything();
  return start(values);
}

try {
  process.exit(await main());
} catch (error) {
  print(error instanceof TypeError ? `${error.message}\n\n${USAGE}` : String(Object(error).stack ?? error));
  process.exit(1);
}
