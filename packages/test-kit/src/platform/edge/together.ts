import type { ServiceProcess } from '../service-process.ts';

/** A service as tests see it, whether it is one process or several behind one door. */
export type RunningService = Omit<Pick<ServiceProcess, keyof ServiceProcess>, 'start'> & {
  /** The address of each process, for what one of them knows and the others do not. */
  readonly instances: readonly string[];
  start(): Promise<unknown>;
};

/** Several processes that are started and ended as one; what is asked of them all is true of each. */
export function together(url: string, processes: readonly ServiceProcess[]): RunningService {
  const each = async (act: (one: ServiceProcess) => Promise<unknown>): Promise<void> => {
    await Promise.all(processes.map(act));
  };
  return {
    name: processes[0]?.name ?? '',
    url,
    instances: processes.map((one) => one.url),
    get pid() {
      return processes[0]?.pid;
    },
    get log() {
      return processes.map(({ log }) => log).join('');
    },
    start: () => each((one) => one.start()),
    launch: () => each((one) => one.launch()),
    untilReady: () => each((one) => one.untilReady()),
    untilAlive: () => each((one) => one.untilAlive()),
    signal(signal) {
      for (const one of processes) one.signal(signal);
    },
    async end(signal) {
      const codes = await Promise.all(processes.map((one) => one.end(signal)));
      return codes.find((code) => code !== 0) ?? codes[0] ?? null;
    },
  };
}
