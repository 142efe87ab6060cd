import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Books,
  callJson,
  eventually,
  expectOk,
  type Fleet,
  newUserId,
  openBooks,
  Person,
  seededAdmin,
  startFleet,
} from '@tollgate/test-kit';
import { type Debts, openDebts } from './debts.ts';
import { type FailpointFile, openFailpointFile } from './failpoint-file.ts';
import type { Victim } from './steps.ts';

/** The 60 s lease at one twentieth, and everything that depends on it. */
export const SCALE = 20;
export const LEASE_SECONDS = 60 / SCALE;
/** A credit is an output token, at both upstreams. */
const PRICES = [
  ['openai', 'priced'],
  ['flowise', 'AGENTFLOW'],
] as const;

/** An installation of its own, in which everything may be killed. */
export interface KillWorld {
  readonly fleet: Fleet;
  readonly books: Books;
  readonly debts: Debts;
  readonly points: FailpointFile;
  readonly admin: Person;
  readonly chatflows: Readonly<Record<'openai' | 'flowise', string>>;
  /** Somebody new who can pay for any answer. */
  newcomer(): Promise<Person>;
  kill(victim: Victim): Promise<void>;
  /** Resolves when everything runs. */
  restart(victim: Victim): Promise<void>;
  stop(): Promise<void>;
}

export const GRANT = 1_000_000;

export async function startKillWorld(): Promise<KillWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'tollgate-kills-'));
  const points = openFailpointFile(join(folder, 'failpoints'));
  const tampered = { FAILPOINTS: points.path };
  const fleet = await startFleet({
    leaseSeconds: LEASE_SECONDS,
    env: {
      accounting: { ...tampered, ALLOCATE_OPENS_ACCOUNTS: 'true' },
      chatProxy: { ...tampered, OPENAI_MODELS_PUBLIC: 'true', DISCONNECT_STRIKES: '0' },
    },
  });
  const { urls, services, flowise } = fleet;
  const admin = await seededAdmin(fleet.environments.auth, urls);
  const flow = flowise.agentflow.id;
  await expectOk(admin.chatProxy('POST', '/api/v1/admin/chatflows/sync'));
  await expectOk(admin.chatProxy('PATCH', `/api/v1/admin/chatflows/${flow}`, { is_public: true }));
  for (const [upstream, model] of PRICES) {
    const price = { upstream, model, mode: 'metered', unitPrices: { output: 1_000_000 } };
    await expectOk(admin.accounting('POST', '/api/pricing', price));
  }
  const books = openBooks(fleet.databaseUrl);
  const debts = openDebts(fleet.environments.chatProxy['MONGODB_URI'] ?? '');
  const processes = { P: services.chatProxy[0], A: services.accounting[0] } as const;
  const servers = { D: fleet.postgres, M: fleet.mongo } as const;
  const treasurer = freshToken(() => fleet.tokens.access({ userId: admin.userId, role: 'admin' }));
  return {
    fleet,
    books,
    debts,
    points,
    admin,
    chatflows: { openai: 'model:priced', flowise: flow },
    async newcomer() {
      const userId = newUserId();
      const person = new Person(
        { userId, username: `u-${userId}`, email: `${userId}@example.test`, password: '' },
        urls,
      );
      person.accessToken = await fleet.tokens.access({ userId });
      const body = { userId, credits: GRANT };
      // A machine that is very busy may have no connection free for a moment.
      await eventually(async () => {
        const granting = callJson('POST', `${urls.accounting}/api/credits/allocate`, {
          body,
          token: await treasurer(),
        });
        const { status } = await granting;
        return status < 300 ? true : undefined;
      }, `the credits of ${userId}`);
      return person;
    },
    async kill(victim) {
      if (victim === 'P' || victim === 'A') await processes[victim]?.end('SIGKILL');
      else servers[victim].signal('SIGKILL');
    },
    async restart(victim) {
      if (victim === 'P' || victim === 'A') await processes[victim]?.start();
      else await servers[victim].restart();
      await Promise.all(Object.values(services).flatMap((some) => some.map((service) => service.untilReady())));
    },
    async stop() {
      await Promise.all([books.close(), debts.close()]);
      await fleet.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const TOKEN_LIFE_MS = 300_000;

/** A token that is not older than that. */
function freshToken(sign: () => Promise<string>): () => Promise<string> {
  let signedAt = Number.NEGATIVE_INFINITY;
  let token = Promise.resolve('');
  return () => {
    if (performance.now() - signedAt > TOKEN_LIFE_MS) {
      signedAt = performance.now();
      token = sign();
    }
    return token;
  };
}
