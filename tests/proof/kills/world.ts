import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Books,
  createPerson,
  expectOk,
  type Fleet,
  openBooks,
  type Person,
  seededAdmin,
  startFleet,
} from '@tollgate/test-kit';
import { type Debts, openDebts } from './debts.ts';
import { type FailpointFile, openFailpointFile } from './failpoint-file.ts';
import type { Victim } from './steps.ts';

/** The 60 s lease at one twentieth, and everything that depends on it. */
export const SCALE = 20;
const LEASE_SECONDS = 60 / SCALE;
const MODEL = { upstream: 'openai', model: 'priced', mode: 'metered', unitPrices: { output: 1_000_000 } };
const FLOW = { upstream: 'flowise', model: 'AGENTFLOW', mode: 'metered', unitPrices: { output: 1_000_000 } };
const CREDITS = 1_000_000;

/** An installation of its own, in which everything may be killed, and a credit is an output token. */
export interface KillWorld {
  readonly fleet: Fleet;
  readonly books: Books;
  readonly debts: Debts;
  readonly points: FailpointFile;
  readonly people: readonly Person[];
  readonly chatflows: Readonly<Record<'openai' | 'flowise', string>>;
  kill(victim: Victim): Promise<void>;
  restart(victim: Victim): Promise<void>;
  stop(): Promise<void>;
}

export async function startKillWorld({ people: count }: { readonly people: number }): Promise<KillWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-kills-'));
  const points = openFailpointFile(join(folder, 'failpoints'));
  const tampered = { FAILPOINTS: points.path };
  const fleet = await startFleet({
    leaseSeconds: LEASE_SECONDS,
    env: { chatProxy: { ...tampered, DISCONNECT_STRIKES: '0' }, accounting: tampered },
  });
  const { urls, services, flowise } = fleet;
  const admin = await seededAdmin(fleet.environments.auth, urls);
  await expectOk(admin.chatProxy('POST', '/api/v1/admin/chatflows/sync'));
  for (const price of [MODEL, FLOW]) await expectOk(admin.accounting('POST', '/api/pricing', price));
  const chatflows = { openai: 'model:priced', flowise: flowise.agentflow.id };
  const people: Person[] = [];
  while (people.length < count) people.push(await openPerson(fleet, admin, Object.values(chatflows)));
  const books = openBooks(fleet.databaseUrl);
  const debts = openDebts(fleet.environments.chatProxy['MONGODB_URI'] ?? '');
  const process = { P: services.chatProxy[0], A: services.accounting[0] } as const;
  const server = { D: fleet.postgres, M: fleet.mongo } as const;
  return {
    fleet,
    books,
    debts,
    points,
    people,
    chatflows,
    async kill(victim) {
      if (victim === 'P' || victim === 'A') await process[victim]?.end('SIGKILL');
      else server[victim].signal('SIGKILL');
    },
    async restart(victim) {
      if (victim === 'P' || victim === 'A') await process[victim]?.start();
      else await server[victim].restart();
      for (const service of Object.values(services).flat()) await service.untilReady();
    },
    async stop() {
      await Promise.all([books.close(), debts.close()]);
      await fleet.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function openPerson({ urls }: Fleet, admin: Person, chatflows: readonly string[]): Promise<Person> {
  const person = await createPerson(admin, urls, 'enduser');
  for (const id of chatflows) {
    const path = `/api/v1/admin/chatflows/${encodeURIComponent(id)}/users`;
    await expectOk(admin.chatProxy('POST', path, { email: person.email }));
  }
  await person.balance();
  await expectOk(admin.accounting('POST', '/api/credits/allocate', { userId: person.userId, credits: CREDITS }));
  return person;
}
