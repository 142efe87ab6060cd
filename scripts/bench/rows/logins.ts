import { randomBytes } from 'node:crypto';
import { callJson } from '@tollgate/test-kit';
import { seedAccounts } from '@tollgate/test-kit/service-environments';
import { inTurns } from '../load/columns.ts';
import { fixed, judged, type Section } from '../report/section.ts';
import { median, quantile } from '../report/statistics.ts';
import type { Bench, Context } from '../stage/context.ts';
import { watching } from '../stage/probe.ts';

const LOGINS = 20;
/** Each logs in on several devices: opening an account takes as slow a hash as a login. */
const PEOPLE = 5;
const MOST_DELAY = 20;

async function logins({ world, pacing }: Context): Promise<Section> {
  const { auth, environments } = await world();
  const people = Array.from({ length: PEOPLE }, (_, at) => ({
    username: `bench-${at}`,
    email: `bench-${at}@example.test`,
    password: randomBytes(12).toString('base64url'),
    role: 'enduser' as const,
  }));
  await seedAccounts(environments.auth, people);
  const logIn = async ({ username, password }: (typeof people)[number]): Promise<number> => {
    const began = performance.now();
    const { status } = await callJson('POST', `${auth.url}/api/auth/login`, { body: { username, password } });
    if (status !== 200) throw new Error(`a login answered ${status}`);
    return performance.now() - began;
  };
  const all = () => Promise.all(Array.from({ length: LOGINS }, inTurns(people)).map(logIn));
  await all();
  const delays: number[] = [];
  const times: number[] = [];
  for (let round = 0; round < pacing.rounds; round += 1) {
    const { seen, result } = await watching(auth.pid ?? 0, all);
    delays.push(seen.delayMs.p99);
    times.push(...result);
  }
  return {
    findings: [
      {
        figure: `event-loop delay of auth under ${LOGINS} parallel logins, p99`,
        target: `≤ ${MOST_DELAY} ms`,
        measured: `${fixed(median(delays), 1)} ms`,
        ratio: '-',
        verdict: judged(median(delays), { most: MOST_DELAY }),
      },
    ],
    tables: [],
    notes: [
      `Bcrypt of cost 12. A login took ${fixed(quantile(times, 0.5), 0)} ms (p50), the last of ${LOGINS} ${fixed(quantile(times, 1), 0)} ms.`,
    ],
  };
}

export const loginsBench: Bench = {
  name: 'logins',
  about: `event-loop delay of auth under ${LOGINS} parallel logins`,
  isQuick: false,
  run: logins,
};
