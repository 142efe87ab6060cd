import { createHmac, randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { unavailable } from '@tollgate/http-kit';
import { Piscina } from 'piscina';
import type { Passwords } from '../ports.ts';

type Pepper = Readonly<{ kid: string; secret: { reveal(): string } }>;

export type PasswordPoolOptions = Readonly<{
  /** The bcrypt cost: each step doubles the work. */
  cost: number;
  /** The current one first; the others only check. */
  peppers: readonly Pepper[];
  /** Worker threads; 0: one less than the machine has processors. */
  threads: number;
}>;

/** Threads, those without work, and what waits for one. */
type PoolState = Readonly<{ open: number; free: number; waiting: number }>;

export type PasswordPool = Passwords & { pool(): PoolState; close(): Promise<void> };

/** A stored hash: which pepper, then bcrypt's own text with its cost. */
const STORED = /^v1\.(?<kid>[\w.-]{1,64})(?<bcrypt>\$2[aby]\$(?<cost>\d\d)\$[./A-Za-z0-9]{53})$/;
type Stored = Readonly<{ pepper: Pepper; bcrypt: string; cost: number }>;
/** Beyond this many waiting, an answer would come too late to matter. */
const LONGEST_QUEUE = 256;

/**
 * Hashes passwords with bcrypt in worker threads. bcrypt looks at 72 bytes and stops at NUL, so it is given a keyed digest
 * (HMAC-SHA-256 in base64, 44 bytes): every character counts, and a stolen table is worth nothing without the pepper.
 */
export async function createPasswordPool(options: PasswordPoolOptions): Promise<PasswordPool> {
  const { cost, peppers, threads } = options;
  const [current] = peppers;
  if (!current) throw new RangeError('a password pool needs a pepper');
  const suffix = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const pool = new Piscina({
    filename: new URL(`./password-worker.${suffix}`, import.meta.url).href,
    minThreads: 1,
    maxThreads: threads || Math.max(1, availableParallelism() - 1),
    maxQueue: LONGEST_QUEUE,
    idleTimeout: 60_000,
  });

  let underWay = 0;

  async function run<T>(task: object, name: string): Promise<T> {
    if (pool.queueSize >= LONGEST_QUEUE) throw unavailable('DEPENDENCY_UNAVAILABLE', 2);
    underWay += 1;
    try {
      return (await pool.run(task, { name })) as T;
    } finally {
      underWay -= 1;
    }
  }

  async function hash(password: string): Promise<string> {
    const hashed = await run<string>({ prepared: prepare(password, current as Pepper), cost }, 'hashPassword');
    return `v1.${(current as Pepper).kid}${hashed}`;
  }

  // What unknown users are checked against; nobody knows its password.
  const nobody = await hash(randomBytes(32).toString('base64'));

  /**
   * Does the work that a hash of an older, lower cost saves, so that its owner's name is not told by a quicker answer: each
   * cost takes twice the one below, and so as much as all below together and the lowest once more.
   */
  async function makeUp(prepared: string, from: number): Promise<void> {
    for (let lower = from; lower < cost; lower += 1) await run({ prepared, cost: lower }, 'hashPassword');
  }

  /** Undefined for what is no hash of ours, or under a pepper that is gone. */
  function readStored(storedHash: string | undefined): Stored | undefined {
    const { kid, bcrypt, cost: storedCost } = STORED.exec(storedHash ?? '')?.groups ?? {};
    const pepper = peppers.find((each) => each.kid === kid);
    return pepper && bcrypt !== undefined ? { pepper, bcrypt, cost: Number(storedCost) } : undefined;
  }

  async function matchesOne(password: string, storedHash: string): Promise<boolean> {
    const stored = readStored(storedHash);
    if (!stored) return false;
    return run<boolean>({ prepared: prepare(password, stored.pepper), hashed: stored.bcrypt }, 'comparePassword');
  }

  return {
    hash,
    async matchesAny(password, storedHashes) {
      for (const storedHash of storedHashes) if (await matchesOne(password, storedHash)) return true;
      return false;
    },
    async check(password, storedHash) {
      // Under a pepper that is gone no password is right any more, and whoever had it is told no more than anybody else.
      const own = readStored(storedHash);
      const { pepper, bcrypt, cost: storedCost } = own ?? (readStored(nobody) as Stored); // made above, with the current pepper
      const prepared = prepare(password, pepper);
      const isMatch = await run<boolean>({ prepared, hashed: bcrypt }, 'comparePassword');
      await makeUp(prepared, storedCost);
      return { matches: isMatch && own !== undefined, outdated: pepper !== current || storedCost < cost };
    },
    pool() {
      const { length: open } = pool.threads;
      const waiting = pool.queueSize;
      return { open, free: Math.max(0, open - (underWay - waiting)), waiting };
    },
    close: () => pool.close(),
  };
}

/** NIST SP 800-63B, 3.1.1.2: normalised (NFKC), so that the same characters typed elsewhere are the same password. */
const prepare = (password: string, pepper: Pepper): string =>
  createHmac('sha256', pepper.secret.reveal()).update(password.normalize('NFKC')).digest('base64');
