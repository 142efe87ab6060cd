import type { Role } from '@tollgate/contracts';
import type { FakeFlowise } from '../fakes/fake-flowise.ts';
import type { FakeOpenAi } from '../fakes/fake-openai.ts';
import type { SmtpSink } from '../mail/smtp-sink.ts';
import type { TestTokens } from '../tokens.ts';
import { type Books, type BooksOfUser, openBooks } from './books.ts';
import { eventually } from './eventually.ts';
import { createPerson, expectOk, seededAdmin } from './people.ts';
import type { RunningService } from './edge/together.ts';
import type { Person, Urls } from './person.ts';
import { startWorld, type World, type WorldOptions } from './world.ts';

export type PlatformOptions = WorldOptions;

/** The three services as processes of their own, with databases of their own and fakes for the world outside. */
export interface Platform {
  readonly urls: Urls;
  readonly auth: RunningService;
  readonly accounting: RunningService;
  readonly chatProxy: RunningService;
  readonly flowise: FakeFlowise;
  readonly openai: FakeOpenAi;
  readonly mails: SmtpSink;
  readonly books: Books;
  /** Accounting's database, and what each service was started with. */
  readonly database: World['database'];
  readonly environments: World['environments'];
  readonly admin: Person;
  /** Tokens signed with this platform's secrets, for callers that need no account. */
  readonly tokens: TestTokens;
  /**
   * `chain` reports no usage and costs 1 credit, `agentflow` reports it; `model` has the default price,
   * `priced` costs 1 credit per output token and nothing else.
   */
  readonly chatflows: {
    readonly chain: string;
    readonly agentflow: string;
    readonly model: string;
    readonly priced: string;
  };
  /** Somebody new who has logged in, with this many credits and, unless `assign` is false, every chatflow. */
  user(options: { credits: number; assign?: boolean; role?: Role }): Promise<Person>;
  assignEverything(person: Person): Promise<void>;
  /** The books of a user once no hold of theirs is open. */
  untilNoOpenHold(userId: string): Promise<BooksOfUser>;
  /** The books of a user once no hold is open and so much was charged: a late settlement may correct what a sweep has closed. */
  untilCharged(userId: string, credits: number): Promise<BooksOfUser>;
  /** Resolves when a running answer of the user has a checkpoint of at least so many output units. */
  untilCheckpoint(userId: string, output: number): Promise<void>;
  stop(): Promise<void>;
}

const pricePerOutputToken = { upstream: 'openai', model: 'priced', mode: 'metered', unitPrices: { output: 1_000_000 } };

/** Starts everything, with an admin, synchronised chatflows and a priced model. */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const { services, stop, ...world } = await startWorld(options);
  const { urls, flowise } = world;
  const books = openBooks(world.database.url);
  const admin = await seededAdmin(world.environments.auth, urls);
  const chatflows = {
    chain: flowise.chain.id,
    agentflow: flowise.agentflow.id,
    model: 'model:fake-small',
    priced: 'model:priced',
  };
  await expectOk(admin.chatProxy('POST', '/api/v1/admin/chatflows/sync'));
  await expectOk(admin.accounting('POST', '/api/pricing', pricePerOutputToken));

  const assignEverything = async ({ email }: Person): Promise<void> => {
    for (const id of Object.values(chatflows)) {
      await expectOk(admin.chatProxy('POST', `/api/v1/admin/chatflows/${encodeURIComponent(id)}/users`, { email }));
    }
  };
  return {
    ...world,
    ...services,
    books,
    admin,
    chatflows,
    assignEverything,
    user: async ({ credits, assign = true, role = 'enduser' }) => {
      const person = await createPerson(admin, urls, role);
      if (assign) await assignEverything(person);
      // The first call with the person's own token opens the account that credits can be allocated to.
      await person.balance();
      const grant = { userId: person.userId, credits };
      if (credits > 0) await expectOk(admin.accounting('POST', '/api/credits/allocate', grant));
      return person;
    },
    untilNoOpenHold: (userId) => eventually(() => closedBooks(books, userId), `the holds of ${userId} to close`),
    untilCharged: (userId, credits) =>
      eventually(async () => {
        const state = await closedBooks(books, userId);
        return state?.charged === credits ? state : undefined;
      }, `${userId} to be charged ${credits}`),
    untilCheckpoint: async (userId, output) => {
      await eventually(() => hasCheckpoint(books, userId, output), `a checkpoint of ${output} units`);
    },
    stop: async () => {
      await books.close();
      await stop();
    },
  };
}

async function closedBooks(books: Books, userId: string): Promise<BooksOfUser | undefined> {
  const state = await books.ofUser(userId);
  return state.openHolds === 0 && state.terminalHolds > 0 ? state : undefined;
}

async function hasCheckpoint(books: Books, userId: string, output: number): Promise<true | undefined> {
  const rows = await books.query<{ units: number }>(
    `SELECT (checkpoint->>'output')::int AS units FROM streaming_sessions WHERE user_id = $1 AND status = 'active' AND checkpoint IS NOT NULL`,
    [userId],
  );
  return rows.some(({ units }) => units >= output) ? true : undefined;
}
