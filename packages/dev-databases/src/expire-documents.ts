import { MongoClient } from 'mongodb';

import { until } from './processes.ts';

const PASS_TIMEOUT_MS = 90_000;
const USUAL_SLEEP_SECONDS = 60;

/**
 * Makes MongoDB (or its double) delete what its TTL indexes call expired, and waits until a whole pass that began after
 * the call is over. For tests: their servers expire nothing by themselves.
 */
export async function expireDocuments(url: string): Promise<void> {
  const client = new MongoClient(url);
  try {
    const admin = client.db('admin');
    const passes = async (): Promise<number> =>
      Number((await admin.command({ serverStatus: 1 }))['metrics'].ttl.passes);
    // A pass that is under way may have been past the newest documents already, so only the second end counts.
    const goal = (await passes()) + 2;
    await admin.command({ setParameter: 1, ttlMonitorSleepSecs: 1 });
    await admin.command({ setParameter: 1, ttlMonitorEnabled: true });
    await until(
      async () => (await passes()) >= goal || undefined,
      PASS_TIMEOUT_MS,
      'The deletion of expired documents',
    );
    await admin.command({ setParameter: 1, ttlMonitorEnabled: false });
    await admin.command({ setParameter: 1, ttlMonitorSleepSecs: USUAL_SLEEP_SECONDS });
  } finally {
    await client.close();
  }
}
