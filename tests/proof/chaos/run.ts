import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { ask } from './chats.ts';
import { type Facts, gather } from './facts.ts';
import { belowFloor, type Floors } from './floor.ts';
import type { History } from './history.ts';
import { healAll, inflict } from './inflict.ts';
import { judge, type Violation } from './judge.ts';
import { deliver, look, move } from './money.ts';
import type { Outcome } from './outcome.ts';
import type { Operation, Schedule } from './schedule.ts';
import { refresh } from './sessions.ts';
import { GRANT, type Stage } from './stage.ts';

export interface Ran {
  readonly outcomes: readonly Outcome[];
  readonly facts: Facts;
  readonly violations: readonly Violation[];
  /** Operations that began so much later than they should: the machine holds no higher rate. */
  readonly lateMs: { readonly median: number; readonly worst: number };
  /** Turns of the runner's own event loop: who waits for it does not wait for the platform. */
  readonly turnMs: { readonly usual: number; readonly worst: number };
  readonly seconds: number;
}

export interface PlayOptions {
  readonly history: History;
  readonly leaseSeconds: number;
  /** What must have been acknowledged; `more` of the schedule is played until it is so. */
  readonly floors?: Floors;
}

/** Plays the schedule to its end, heals everything, waits one lease, and looks. */
export async function play(stage: Stage, drawn: Schedule, options: PlayOptions): Promise<Ran> {
  const { history, leaseSeconds, floors = {} } = options;
  const turns = monitorEventLoopDelay({ resolution: TURN_MS });
  turns.enable();
  const began = performance.now();
  const until = (at: number): Promise<void> => pause(Math.max(0, at - (performance.now() - began)));
  const late: number[] = [];
  const outcomes: Outcome[] = [];
  const playOne = async (operation: Operation): Promise<void> => {
    const { id } = operation;
    history.write({ what: 'invoke', operation: id, ...operation });
    const outcome = await carryOut(stage, operation);
    outcomes.push(outcome);
    history.write({ what: knowledgeOf(outcome), operation: id, ...outcome });
  };
  const playing = drawn.operations.map(async (operation) => {
    await until(operation.at);
    late.push(performance.now() - began - operation.at);
    await playOne(operation);
  });
  const hurting = drawn.faults.map(async (fault) => {
    await until(fault.at);
    history.write({ what: 'fault', fault: fault.id, ...fault });
    await inflict(stage.fleet, fault).catch((error: unknown) =>
      history.write({ what: 'note', fault: fault.id, failed: String(error) }),
    );
    history.write({ what: 'healed', fault: fault.id });
  });
  await Promise.all(hurting);
  await healAll(stage.fleet);
  await Promise.all(playing);
  const operations = [...drawn.operations, ...(await fillUp(drawn, { outcomes, floors, playOne }))];
  history.write({ what: 'note', all: 'healed, and every client knows' });
  turns.disable();
  const facts = await gather(stage, leaseSeconds);
  const userIds = stage.payers.map(({ userId }) => userId);
  late.sort((one, other) => one - other);
  return {
    outcomes,
    facts,
    violations: judge({
      schedule: { ...drawn, operations },
      outcomes,
      facts,
      userIds,
      granted: GRANT,
      floors,
      leaseSeconds,
    }),
    turnMs: { usual: inMilliseconds(turns.percentile(99)), worst: inMilliseconds(turns.max) },
    lateMs: { median: Math.round(late[late.length >> 1] ?? 0), worst: Math.round(late.at(-1) ?? 0) },
    seconds: (performance.now() - began) / 1000,
  };
}

const TURN_MS = 10;
const inMilliseconds = (nanoseconds: number): number => Math.round(nanoseconds / 1_000_000);

const MORE_AT_ONCE = 12;
const MORE_WITHIN_MS = 120_000;

/** In calm, as much as the floors lack: a slow machine takes longer, one that acknowledges nothing is found out. */
async function fillUp(
  { operations, more }: Schedule,
  run: { outcomes: readonly Outcome[]; floors: Floors; playOne: (operation: Operation) => Promise<void> },
): Promise<Operation[]> {
  const { outcomes, floors, playOne } = run;
  const end = performance.now() + MORE_WITHIN_MS;
  const played: Operation[] = [];
  while (performance.now() < end && belowFloor(floors, [...operations, ...played], outcomes).length > 0) {
    const next = more.slice(played.length, played.length + MORE_AT_ONCE);
    if (next.length === 0) break;
    await Promise.all(next.map(playOne));
    played.push(...next);
  }
  return played;
}

function carryOut(stage: Stage, operation: Operation): Promise<Outcome> {
  switch (operation.kind) {
    case 'chat':
      return ask(stage, operation);
    case 'deduct':
    case 'allocate':
      return move(stage, operation);
    case 'deliver':
      return deliver(stage, operation);
    case 'refresh':
      return refresh(stage, operation);
    case 'look':
      return look(stage, operation);
  }
}

function knowledgeOf({ verdict, isHung }: Outcome): 'ok' | 'fail' | 'unknown' | 'hung' {
  if (isHung) return 'hung';
  return verdict === 'done' ? 'ok' : verdict === 'not' ? 'fail' : 'unknown';
}
