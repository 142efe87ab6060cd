// Breaks the platform on purpose and proves that nothing is lost and nothing doubled:
// `pnpm chaos [--seed 1] [--minutes 30] [--rate 50] [--proxies 2] [--accountings 2] [--auths 2] [--lease 6] [--report file.md] [--history file.ndjson]`.
// Ends with 0 when every invariant holds, with 1 and the first offending rows when not.
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { timesFloors } from '../tests/proof/chaos/floor.ts';
import { createHistory } from '../tests/proof/chaos/history.ts';
import { reportOf, trouble } from '../tests/proof/chaos/report.ts';
import { play } from '../tests/proof/chaos/run.ts';
import { drawSchedule } from '../tests/proof/chaos/schedule.ts';
import { setStage, type Stage } from '../tests/proof/chaos/stage.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '50' },
    proxies: { type: 'string', default: '2' },
    accountings: { type: 'string', default: '2' },
    auths: { type: 'string', default: '2' },
    lease: { type: 'string', default: '6' },
    report: { type: 'string' },
    history: { type: 'string' },
  },
});

/** Of the short run whose floors each minute must reach. */
const USUAL_RATE = 8;

const say = (text: string): void => void process.stderr.write(`• ${text}\n`);

async function main(): Promise<boolean> {
  const schedule = drawSchedule({
    seed: Number(values.seed),
    seconds: Number(values.minutes) * 60,
    rate: Number(values.rate),
    instances: {
      auth: Number(values.auths),
      accounting: Number(values.accountings),
      chatProxy: Number(values.proxies),
    },
  });
  const leaseSeconds = Number(values.lease);
  say(`seed ${values.seed}: ${schedule.operations.length} operations, ${schedule.faults.length} faults`);
  const stage = await setStage(schedule, leaseSeconds);
  const file = values.history === undefined ? undefined : createWriteStream(values.history);
  const history = createHistory(file);
  try {
    say(`${schedule.payers} payers are ready`);
    const floors = timesFloors(Number(values.minutes) * Math.min(1, Number(values.rate) / USUAL_RATE));
    const ran = await play(stage, schedule, { history, leaseSeconds, floors });
    const command = `pnpm chaos --seed ${values.seed} --minutes ${values.minutes} --rate ${values.rate}`;
    const report = reportOf(schedule, ran, command);
    if (values.report === undefined) process.stdout.write(report);
    else await writeFile(values.report, report);
    if (ran.violations.length > 0) {
      process.stdout.write(`\n${trouble(ran.violations, history)}\n`);
      await keepLogs(stage);
    }
    return ran.violations.length === 0;
  } finally {
    file?.end();
    await stage.stop();
  }
}

/** Beside the history: what the processes said. */
async function keepLogs({ fleet }: Stage): Promise<void> {
  if (values.history === undefined) return;
  for (const [service, processes] of Object.entries(fleet.services)) {
    for (const [at, { log }] of processes.entries()) await writeFile(`${values.history}.${service}-${at}.log`, log);
  }
}

process.exit((await main()) ? 0 : 1);
