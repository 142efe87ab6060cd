import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { directive, type Person } from '@tollgate/test-kit';
import type { Heard } from '../doors.ts';
import { booksOf, type BothBooks } from './both-books.ts';
import { type Fault, judge } from './judge.ts';
import type { Played } from './played.ts';
import type { Asked, Cycle } from './plan.ts';
import type { KillWorld } from './world.ts';

export interface CycleReport {
  readonly cycle: Cycle;
  readonly faults: readonly Fault[];
  readonly answers: readonly Played[];
  /** From the moment when everything ran again to the end of the last hold, and to that of the last question in the history. */
  readonly settledMs: number;
  readonly toldMs: number;
  readonly tookMs: number;
}

const POLL_MS = 15;
const PATIENCE_MS = 60_000;

/** Kills something while answers stand at known places, starts it again, and looks what became of them. */
export async function runCycle(world: KillWorld, cycle: Cycle): Promise<CycleReport> {
  const began = performance.now();
  const answers = await Promise.all(cycle.answers.map((asked) => prepare(world, asked)));
  const [main, ...others] = answers;
  const asking = others.map((played) => begin(world, played, 'pause'));
  await Promise.all(others.map((played, at) => untilReached(world, played, asking[at])));
  if (main) {
    const asked = begin(world, main, cycle.isSudden ? 'abort' : 'pause');
    asking.unshift(asked);
    await untilReached(world, main, asked);
  }
  await pause(cycle.lingerMs);
  await world.kill(cycle.victim);
  if (cycle.victim === 'P') for (const played of answers) played.atKill = await look(world, played);
  world.points.release();
  await pause(cycle.downMs);
  await world.restart(cycle.victim);
  const restarted = performance.now();
  await Promise.all(asking);
  await Promise.all(answers.map((played) => repeat(world, played)));
  await until(answers, async (played) => isSettled(await look(world, played)));
  const settledMs = performance.now() - restarted;
  await until(answers, async ({ person }) => (await world.debts.unfinished(person.userId)) === 0);
  const toldMs = performance.now() - restarted;
  for (const played of answers) played.after = await look(world, played);
  const faults = (await Promise.all(answers.map((played) => judge(world, cycle, played)))).flat();
  return { cycle, faults, answers, settledMs, toldMs, tookMs: performance.now() - began };
}

async function prepare(world: KillWorld, asked: Asked): Promise<Played> {
  const marker = randomUUID();
  const key = asked.hasKey ? marker : undefined;
  return { asked, person: await world.newcomer(), marker, key, hasReached: false, first: undefined };
}

const look = (world: KillWorld, { person }: Played): Promise<BothBooks> => booksOf(world, person.userId);

const isSettled = ({ holds, debts }: BothBooks): boolean =>
  debts.length === 0 && holds.every(({ status }) => status !== 'active');

async function begin(world: KillWorld, played: Played, action: 'pause' | 'abort'): Promise<void> {
  world.points.arm(played.asked.place.name, played.person.userId, action);
  played.first = await ask(world, played);
}

function ask({ fleet, chatflows }: KillWorld, { asked, person, marker, key }: Played): Promise<Heard> {
  const { door, upstream, tokens, tokenDelayMs } = asked;
  return door.ask(fleet, person, {
    text: `${marker} ${directive({ tokens, tokenDelayMs })}`,
    chatflowId: chatflows[upstream],
    patience: AbortSignal.timeout(PATIENCE_MS),
    ...(key !== undefined && { headers: { 'idempotency-key': key } }),
  });
}

/** Until it stands at its place, or has come to its end without passing it. */
async function untilReached({ points }: KillWorld, played: Played, asking: Promise<void> | undefined): Promise<void> {
  let isOver = false;
  void asking?.finally(() => (isOver = true));
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    // A process that kills itself there ends the answer as well: asked first, looked for then.
    const isLast = isOver || performance.now() > end;
    played.hasReached = points.hasReached(played.asked.place.name, played.person.userId);
    if (played.hasReached || isLast) return;
    await pause(POLL_MS);
  }
}

const PASSING: ReadonlySet<string | undefined> = new Set([
  'idempotency_in_progress',
  'dependency_unavailable',
  'accounting_unavailable',
]);

/** As a client does that has not got its answer: with the same key, until it is told what became of it. */
async function repeat(world: KillWorld, played: Played): Promise<void> {
  if (played.key === undefined) return;
  const end = performance.now() + PATIENCE_MS;
  do {
    played.again = await ask(world, played);
    const { isCut, status, code } = played.again;
    if (!isCut && (status === 200 || !PASSING.has(code))) return;
    await pause(POLL_MS * 4);
  } while (performance.now() < end);
}

/** A wait that ends: what is not so by then is told by the checks. */
async function until(answers: readonly Played[], isSo: (played: Played) => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (const played of answers) while (!(await isSo(played)) && performance.now() < end) await pause(POLL_MS);
}
