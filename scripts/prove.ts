// Proofs that take longer than a test may, on a platform of their own:
// `node --conditions=tollgate scripts/prove.ts credits [--requests 10000] [--seed 1] [--at-once 40]`
// `node --conditions=tollgate scripts/prove.ts faults [--report docs/reports/fault-catalogue.md]`
// `node --conditions=tollgate scripts/prove.ts dependencies [--report docs/reports/dependency-faults.md]`
// `node --conditions=tollgate scripts/prove.ts kills [--cycles 500] [--seed 1] [--worlds 2] [--report docs/reports/kills.md]`
// `node --conditions=tollgate scripts/prove.ts restart [--rate 50] [--rounds 3] [--instances 2] [--seed 1] [--lease 30] [--report docs/reports/rolling-restart.md]`
// `node --conditions=tollgate scripts/prove.ts readers [--lease 15] [--report docs/reports/readers.md]`
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type Platform, type PlatformOptions, startPlatform } from '@tollgate/test-kit';
import startDatabases from '../packages/test-kit/src/global-setup.ts';
import stopDatabases from '../packages/test-kit/src/global-teardown.ts';
import { dependencyReport, playAll } from '../tests/proof/dependencies/rows.ts';
import { setStage } from '../tests/proof/dependencies/stage.ts';
import { FIRST_BYTE_MS, IDLE_MS, playFaults, priceByToken, summary } from '../tests/proof/faults.ts';
import { playKills } from '../tests/proof/kills/kills.ts';
import { isClean, killReport, lineOf } from '../tests/proof/kills/report.ts';
import { playReaders } from '../tests/proof/readers/readers.ts';
import { isHarmless, readersReport } from '../tests/proof/readers/report.ts';
import { isSmooth, restartReport } from '../tests/proof/restart/report.ts';
import { restartAll } from '../tests/proof/restart/restart.ts';
import { askAtRandom, isSame } from '../tests/proof/same-credits.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    requests: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    'at-once': { type: 'string', default: '40' },
    report: { type: 'string' },
    cycles: { type: 'string', default: '500' },
    only: { type: 'string' },
    worlds: { type: 'string', default: '2' },
    rate: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '3' },
    instances: { type: 'string', default: '2' },
    lease: { type: 'string', default: '30' },
    stall: { type: 'string', default: '60' },
  },
});

const PROOFS: Readonly<Record<string, () => Promise<boolean>>> = {
  credits: () =>
    onPlatform({ DISCONNECT_STRIKES: '0', UPSTREAM_BREAK_AFTER: '1000' }, async (platform) => {
      const requests = Number(values.requests);
      const found = await askAtRandom(platform, {
        requests,
        seed: Number(values.seed),
        atOnce: Number(values['at-once']),
      });
      process.stdout.write(`${JSON.stringify({ seed: values.seed, ...found }, null, 2)}\n`);
      return isSame(found);
    }),
  faults: () => {
    const env = { UPSTREAM_FIRST_BYTE_TIMEOUT: `${FIRST_BYTE_MS}ms`, UPSTREAM_IDLE_TIMEOUT: `${IDLE_MS}ms` };
    return onPlatform({ ...env, UPSTREAM_BREAK_AFTER: '1000' }, async (platform) => {
      await priceByToken(platform);
      const seen = await playFaults(platform);
      await write(
        `# Faults of upstreams, as they end\n\nWritten by \`scripts/prove.ts faults\`; time limits of the upstream are ${FIRST_BYTE_MS} ms here.\n\n${summary(seen)}`,
      );
      return seen.every(({ wrong }) => wrong === '');
    });
  },
  dependencies: async () => {
    await startDatabases();
    const stage = await setStage();
    try {
      const played = await playAll(stage);
      for (const { row, what, wrong } of played) if (wrong !== '') process.stderr.write(`${row}, ${what}: ${wrong}\n`);
      await write(dependencyReport(played));
      return played.every(({ wrong }) => wrong === '');
    } finally {
      await stage.stop();
      await stopDatabases();
    }
  },
  kills: async () => {
    const only = values.only === undefined ? undefined : Number(values.only);
    const options = { seed: Number(values.seed), cycles: Number(values.cycles), worlds: Number(values.worlds), only };
    const played = await playKills({ ...options, told: (report) => process.stderr.write(`${lineOf(report)}\n`) });
    await write(killReport(options, played));
    return isClean(played);
  },
  restart: async () => {
    const options = {
      seed: Number(values.seed),
      rate: Number(values.rate),
      rounds: Number(values.rounds),
      instances: Number(values.instances),
      leaseSeconds: Number(values.lease),
    };
    const restarted = await restartAll({ ...options, say: (text) => process.stderr.write(`• ${text}\n`) });
    await write(restartReport(options, restarted));
    return isSmooth(restarted);
  },
  readers: () =>
    onDatabases(async () => {
      const options = {
        slow: 200,
        halfClosing: 50,
        resetting: 50,
        crawling: 1000,
        leaseSeconds: Number(values.lease),
        stallSeconds: Number(values.stall),
      };
      const seen = await playReaders({ ...options, say: (text) => process.stderr.write(`• ${text}\n`) });
      await write(readersReport(options, seen));
      return isHarmless(seen);
    }),
};

async function write(text: string): Promise<void> {
  if (values.report === undefined) process.stdout.write(text);
  else await writeFile(values.report, text);
}

async function onPlatform(
  env: NonNullable<PlatformOptions['chatProxy']>,
  prove: (platform: Platform) => Promise<boolean>,
): Promise<boolean> {
  return onDatabases(async () => {
    const platform = await startPlatform({ chatProxy: env });
    try {
      return await prove(platform);
    } finally {
      await platform.stop();
    }
  });
}

async function onDatabases(prove: () => Promise<boolean>): Promise<boolean> {
  await startDatabases();
  try {
    return await prove();
  } finally {
    await stopDatabases();
  }
}

const proof = PROOFS[positionals[0] ?? ''];
if (!proof) throw new Error(`name one of ${Object.keys(PROOFS).join(', ')}`);
process.exitCode = (await proof()) ? 0 : 1;
