import { setTimeout as pause } from 'node:timers/promises';
import { ask } from './chats.ts';
import { type Facts, gather } from './facts.ts';
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
  readonly seconds: number;
}

const LEASES_WAITED = 1;

/** Plays the schedule to its end, heals everything, waits one lease, and looks. */
export async function play(
  stage: Stage,
  schedule: Schedule,
  { history, leaseSeconds }: { readonly history: History; readonly leaseSeconds: number },
): Promise<Ran> {
  const began = performance.now();
  const until = (at: number): Promise<void> => pause(Math.max(0, at - (performance.now() - began)));
  const late: number[] = [];
  const outcomes: Outcome[] = [];
  const playing = schedule.operations.map(async (operation) => {
    await until(operation.at);
    late.push(performance.now() - began - operation.at);
    const { id } = operation;
    history.write({ what: 'invoke', operation: id, ...operation });
    const outcome = await carryOut(stage, operation);
    outcomes.push(outcome);
    history.write({ what: knowledgeOf(outcome), operation: id, ...outcome });
  });
  const hurting = schedule.faults.map(async (fault) => {
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
  const healedAt = performance.now();
  history.write({ what: 'note', all: 'healed, and every client knows' });
  await pause(LEASES_WAITED * leaseSeconds * 1000);
  const facts = await gather(stage, healedAt);
  const userIds = stage.payers.map(({ userId }) => userId);
  late.sort((one, other) => one - other);
  return {
    outcomes,
    facts,
    violations: judge({ schedule, outcomes, facts, userIds, granted: GRANT }),
    lateMs: { median: Math.round(late[late.length >> 1] ?? 0), worst: Math.round(late.at(-1) ?? 0) },
    seconds: (performance.now() - began) / 1000,
  };
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
