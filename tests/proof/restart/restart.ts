import type { ServiceKey } from '@tollgate/test-kit';
import { createHistory } from '../chaos/history.ts';
import { play, type Ran } from '../chaos/run.ts';
import { drawSchedule, type Schedule } from '../chaos/schedule.ts';
import { setStage } from '../chaos/stage.ts';
import { type Balancer, startBalancer } from './balancer.ts';
import { type Restart, roll, SERVICES } from './rolling.ts';
import { type Answers, watchAnswers } from './watch-answers.ts';

export interface RestartOptions {
  readonly seed: number;
  readonly rate: number;
  readonly rounds: number;
  readonly instances: number;
  readonly leaseSeconds: number;
  readonly say: (text: string) => void;
}

export interface Restarted {
  readonly ran: Ran;
  readonly restarts: readonly Restart[];
  readonly answers: Answers;
  /** Connections for which the load balancers found nobody. */
  readonly refused: number;
  readonly openings: Readonly<Record<string, number>>;
}

/** How long a round takes, for the length of the traffic. */
const SECONDS_A_PROCESS = 16;
const SHUTDOWN = { SHUTDOWN_ACCEPT: '5s', SHUTDOWN_DRAIN: '30s', SHUTDOWN_CLOSE: '8s' };

/** Mixed traffic, while every process is restarted, one after the other, behind load balancers that follow readiness. */
export async function restartAll(options: RestartOptions): Promise<Restarted> {
  const { seed, rate, rounds, instances, leaseSeconds, say } = options;
  const schedule = withoutFaults(
    drawSchedule({
      seed,
      rate,
      seconds: rounds * instances * SERVICES.length * SECONDS_A_PROCESS,
      instances: { auth: instances, accounting: instances, chatProxy: instances },
    }),
  );
  const balancers: Partial<Record<ServiceKey, Balancer>> = {};
  const stage = await setStage(schedule, leaseSeconds, {
    env: SHUTDOWN,
    hasDirectDatabases: true,
    async front(ports) {
      for (const key of SERVICES) balancers[key] = await startBalancer(ports[key], (change) => say(`${key} ${change}`));
      return Object.fromEntries(SERVICES.map((key) => [key, [balancers[key]?.port ?? 0]])) as Record<
        ServiceKey,
        number[]
      >;
    },
  });
  const all = balancers as Record<ServiceKey, Balancer>; // the stage has started with them
  const { auth, accounting, chatProxy } = stage.fleet.urls;
  const refused = (): number => SERVICES.reduce((sum, key) => sum + all[key].refused, 0);
  // While everything starts, services look for each other in vain.
  const before = refused();
  const answers = watchAnswers([auth, accounting, chatProxy]);
  say(`${schedule.operations.length} operations in ${schedule.options.seconds} s`);
  try {
    const end = performance.now() + schedule.options.seconds * 1000;
    const rolling = roll(stage.fleet, all, {
      rounds,
      isOver: () => performance.now() > end,
      told: ({ service, code, exitSeconds, readySeconds }) =>
        say(`${service}: exit ${code} after ${exitSeconds} s, back after ${readySeconds} s`),
    });
    const [ran, restarts] = await Promise.all([
      play(stage, schedule, { history: createHistory(), leaseSeconds }),
      rolling,
    ]);
    return { ran, restarts, answers, refused: refused() - before, openings: countedEndings(ran) };
  } finally {
    answers.stop();
    await stage.stop();
    await Promise.all(SERVICES.map((key) => all[key].stop()));
  }
}

/** Only what restarts do is to be seen. */
const withoutFaults = (schedule: Schedule): Schedule => ({
  ...schedule,
  faults: [],
  operations: schedule.operations.map((operation) =>
    operation.kind === 'chat' ? { ...operation, fault: undefined } : operation,
  ),
});

const countedEndings = ({ outcomes }: Ran): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(outcomes, ({ ending }) => ending)].map(([ending, same]) => [ending, same.length]));
