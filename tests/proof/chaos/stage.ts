import type { Role } from '@tollgate/contracts';
import {
  type Books,
  callJson,
  createPerson,
  expectOk,
  type Fleet,
  type FleetOptions,
  newUserId,
  openBooks,
  Person,
  seededAdmin,
  startFleet,
} from '@tollgate/test-kit';
import type { Schedule } from './schedule.ts';

/** A fleet with everybody and everything the schedule speaks of. */
export interface Stage {
  readonly fleet: Fleet;
  readonly books: Books;
  readonly admin: Payer;
  readonly payers: readonly Payer[];
  readonly sessions: readonly Person[];
  /** By upstream: output tokens cost a credit each, and nothing else does. */
  readonly chatflows: Readonly<Record<'openai' | 'flowise', string>>;
  stop(): Promise<void>;
}

/** Somebody whose token outlives no run. */
export interface Payer {
  readonly userId: string;
  /** With a token that is fresh enough. */
  person(): Promise<Person>;
}

/** More than all powers of two together, and than what open holds reserve meanwhile. */
export const GRANT = 2 ** 30;
const AT_ONCE = 6;
const TOKEN_LIFE_MS = 300_000;
/** Bounds of the services, so short that none of them lasts longer than a client's patience. */
const SECONDS = 5;

export interface StageOptions extends Pick<FleetOptions, 'front' | 'hasDirectDatabases'> {
  /** Extra environment of all services. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function setStage(
  schedule: Schedule,
  leaseSeconds: number,
  { env = {}, ...rest }: StageOptions = {},
): Promise<Stage> {
  const { instances } = schedule.options;
  const fleet = await startFleet({
    instances,
    leaseSeconds,
    models: ['priced'],
    ...rest,
    env: {
      auth: { ...env, REFRESH_GRACE: '60s', AUDIT_ANCHOR_INTERVAL: '5s' },
      accounting: { ...env, ALLOCATE_OPENS_ACCOUNTS: 'true', LEDGER_HEAD_INTERVAL: '2s', RECONCILE_INTERVAL: '10s' },
      chatProxy: {
        ...env,
        OPENAI_MODELS_PUBLIC: 'true',
        DEFAULT_OUTPUT_TOKENS: '1000000',
        DISCONNECT_STRIKES: '0',
        UPSTREAM_FIRST_BYTE_TIMEOUT: `${SECONDS}s`,
        UPSTREAM_IDLE_TIMEOUT: `${SECONDS}s`,
        UPSTREAM_TOTAL_TIMEOUT: `${3 * SECONDS}s`,
        CLIENT_STALL_TIMEOUT: `${SECONDS}s`,
        KEEP_RUNNING_MAX: `${SECONDS}s`,
        HEARTBEAT_INTERVAL: '1s',
      },
    },
  });
  const books = openBooks(fleet.databaseUrl);
  const admin = await seededAdmin(fleet.environments.auth, fleet.urls);
  const chatflows = { openai: 'model:priced', flowise: fleet.flowise.agentflow.id };
  await expectOk(admin.chatProxy('POST', '/api/v1/admin/chatflows/sync'));
  await expectOk(admin.chatProxy('PATCH', `/api/v1/admin/chatflows/${chatflows.flowise}`, { is_public: true }));
  for (const [upstream, model] of [
    ['openai', 'priced'],
    ['flowise', 'AGENTFLOW'],
  ] as const) {
    const price = { upstream, model, mode: 'metered', unitPrices: { output: 1_000_000 } };
    await expectOk(admin.accounting('POST', '/api/pricing', price));
  }
  const granter = createPayer(fleet, admin.userId, 'admin');
  const payers = Array.from({ length: schedule.payers }, () => createPayer(fleet));
  await eachOf(payers, async ({ userId }) => {
    const { accessToken: token } = await granter.person();
    const url = `${fleet.urls.accounting}/api/credits/allocate`;
    await expectOk(callJson('POST', url, { body: { userId, credits: GRANT }, token }));
  });
  const sessions = await Promise.all(
    Array.from({ length: schedule.sessions }, () => createPerson(admin, fleet.urls, 'enduser')),
  );
  return {
    fleet,
    books,
    admin: granter,
    payers,
    sessions,
    chatflows,
    async stop() {
      await books.close();
      await fleet.stop();
    },
  };
}

function createPayer({ tokens, urls }: Fleet, userId: string = newUserId(), role: Role = 'enduser'): Payer {
  const person = new Person({ userId, username: `u-${userId}`, email: `${userId}@example.test`, password: '' }, urls);
  const renew = async (): Promise<Person> => {
    person.accessToken = await tokens.access({ userId, role });
    return person;
  };
  let signedAt = -TOKEN_LIFE_MS;
  let signing = Promise.resolve(person);
  return {
    userId,
    person() {
      if (performance.now() - signedAt > TOKEN_LIFE_MS) {
        signedAt = performance.now();
        signing = renew();
      }
      return signing;
    },
  };
}

export async function eachOf<T>(all: readonly T[], act: (one: T) => Promise<unknown>): Promise<void> {
  const left = [...all];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) await act(next);
    }),
  );
}
