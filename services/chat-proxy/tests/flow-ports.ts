import { randomUUID } from 'node:crypto';
import { chargeFor, type Price } from '@tollgate/contracts';
import { AppError, unavailable } from '@tollgate/http-kit';
import type { UpstreamPart } from '../src/domain/answer.ts';
import type { Chatflow } from '../src/domain/chatflow.ts';
import type { ClosedHold, Hold, HoldId, SessionId, Units, UserId } from '../src/domain/wire-types.ts';
import type { Ending, Journal, JournalRow, Messages, Session, Sessions, StoredMessage } from '../src/ports.ts';
import { credits, holdOf, MESSAGE_PRICE } from './doubles.ts';

/** What an upstream does next: yields a part, waits for ever, or fails. */
export type Step = UpstreamPart | 'hang' | AppError | (() => void);

export function createUpstream(log: string[]) {
  const upstream = {
    steps: [] as Step[],
    prompts: [] as object[],
    returned: 0,
    async *answer(_chatflow: Chatflow, prompt: object, maxOutput: number, signal: AbortSignal) {
      log.push('upstream');
      upstream.prompts.push({ ...prompt, maxOutput });
      try {
        for (const step of upstream.steps) {
          signal.throwIfAborted();
          if (step === 'hang') await untilAborted(signal);
          else if (step instanceof AppError) throw step;
          else if (typeof step === 'function') step();
          else yield step;
        }
      } finally {
        upstream.returned += 1;
      }
    },
  };
  return upstream;
}

async function untilAborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  // A signal's reason is whatever its owner gave; passing it on is the point here.
  signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  return promise;
}

/** Accounting as a few lines: holds, closes each once, and can be away. */
export function createBank(log: string[]) {
  const holds = new Map<HoldId, { hold: Hold; userId: UserId; closed?: ClosedHold }>();
  const bank = {
    price: MESSAGE_PRICE as Price,
    available: 10_000,
    isAway: false,
    endings: [] as { holdId: HoldId; ending: Ending }[],
    renewals: [] as object[],
    lost: [] as HoldId[],
    async hold({ userId }: { userId: UserId }, { holdId: id, units }: { holdId: HoldId; units: Units }) {
      log.push('hold');
      if (bank.isAway) throw unavailable('ACCOUNTING_UNAVAILABLE', 2);
      const held = chargeFor(bank.price, units);
      if (held > bank.available) throw new AppError('INSUFFICIENT_CREDITS');
      bank.available -= held;
      const hold = { ...holdOf(bank.price, held, units, bank.available), holdId: id };
      holds.set(id, { hold, userId });
      return hold;
    },
    async extend(_userId: UserId, { holdId: id }: Hold, units: Units) {
      log.push('extend');
      if (bank.isAway) throw unavailable('ACCOUNTING_UNAVAILABLE', 2);
      const entry = holds.get(id);
      if (!entry) throw new AppError('NOT_FOUND');
      const more = chargeFor(bank.price, units) - entry.hold.heldCredits;
      if (more > bank.available) throw new AppError('INSUFFICIENT_CREDITS');
      bank.available -= more;
      entry.hold = {
        ...entry.hold,
        units,
        heldCredits: credits(entry.hold.heldCredits + more),
        availableCredits: credits(bank.available),
      };
      return entry.hold;
    },
    async renew(renewals: readonly object[]) {
      bank.renewals.push(...renewals);
      return bank.lost.splice(0).map((id) => ({ holdId: id, outcome: 'closed' as const }));
    },
    async end(id: HoldId, _userId: UserId, ending: Ending): Promise<ClosedHold> {
      log.push(ending.kind);
      if (bank.isAway) throw unavailable('ACCOUNTING_UNAVAILABLE', 2);
      const entry = holds.get(id);
      if (!entry) throw new AppError('NOT_FOUND');
      bank.endings.push({ holdId: id, ending });
      if (entry.closed) return { ...entry.closed, alreadyFinal: true };
      const held = entry.hold.heldCredits;
      const wanted = ending.kind === 'void' ? 0 : chargeFor(bank.price, ending.units);
      const charged = Math.min(wanted, held + bank.available);
      bank.available += held - charged;
      entry.closed = {
        holdId: id,
        status: ending.kind === 'void' ? 'voided' : 'settled',
        outcome: ending.kind === 'void' ? null : ending.outcome,
        heldCredits: held,
        chargedCredits: credits(charged),
        releasedCredits: credits(Math.max(0, held - charged)),
        expiredCredits: credits(0),
        writtenOffCredits: credits(wanted - charged),
        debtCredits: credits(0),
        availableCredits: credits(bank.available),
        alreadyFinal: false,
      };
      return entry.closed;
    },
    openHolds: () => [...holds.values()].filter(({ closed }) => !closed).length,
  };
  return bank;
}

export function createJournal(log: string[]) {
  const rows = new Map<HoldId, { userId: UserId; ending?: Ending; checkpoint?: Units; leaseUntil: Date }>();
  const guard = (): void => {
    if (journal.isAway) throw unavailable('DEPENDENCY_UNAVAILABLE', 2);
  };
  const journal = {
    rows,
    isAway: false,
    orphans: [] as JournalRow[],
    async open({ holdId: id, userId }: { holdId: HoldId; userId: UserId }, leaseUntil: Date) {
      log.push('journal');
      guard();
      rows.set(id, { userId, leaseUntil });
    },
    async checkpoint(notes: readonly { holdId: HoldId; units?: Units }[], leaseUntil: Date) {
      log.push('checkpoint');
      guard();
      for (const { holdId: id, units } of notes) {
        const row = rows.get(id);
        if (row) rows.set(id, { ...row, leaseUntil, ...(units && { checkpoint: units }) });
      }
    },
    async conclude({ holdId: id }: { holdId: HoldId }, ending: Ending, leaseUntil: Date) {
      guard();
      const row = rows.get(id);
      if (row) rows.set(id, { ...row, ending, leaseUntil });
    },
    async close(id: HoldId) {
      guard();
      rows.delete(id);
    },
    adopt: async (): Promise<JournalRow[]> => journal.orphans.splice(0),
    count: async () => rows.size,
  } satisfies Journal & Record<string, unknown>;
  return journal;
}

export function createSessions(log: string[]) {
  const rows = new Map<SessionId, Session & { leaseId?: HoldId }>();
  const sessions = {
    rows,
    isAway: false,
    async claim({ id, userId, chatflowId, lease, now }: Parameters<Sessions['claim']>[0]) {
      log.push('claim');
      const row = rows.get(id);
      if (row && (row.userId !== userId || row.chatflowId !== chatflowId)) return 'not-found' as const;
      if (row?.leaseId) return 'busy' as const;
      const memoryId = randomUUID();
      const session = row ?? {
        id,
        userId,
        chatflowId,
        topic: '',
        firstMessage: '',
        createdAt: now,
        upstreamChatIds: [memoryId],
        upstreamMemoryId: memoryId,
        messageCount: 0,
      };
      rows.set(id, { ...session, leaseId: lease.id });
      return { session, isNew: !row };
    },
    async renewLeases() {},
    async release({ id, discard, freshChatId, stored }: Parameters<Sessions['release']>[0]) {
      log.push('release');
      if (sessions.isAway) throw unavailable('DEPENDENCY_UNAVAILABLE', 2);
      const row = rows.get(id);
      if (!row) return false;
      const { leaseId: _, ...rest } = row;
      if (discard) return !rows.delete(id);
      rows.set(id, {
        ...rest,
        ...(stored && { topic: rest.topic || stored.topic, messageCount: rest.messageCount + stored.messages }),
        ...(freshChatId && { upstreamChatIds: [...rest.upstreamChatIds, freshChatId] }),
      });
      return true;
    },
  };
  return sessions;
}

export function createMessages(log: string[]) {
  const saved: StoredMessage[] = [];
  const messages = {
    saved,
    async save(some: readonly StoredMessage[]) {
      log.push('save');
      saved.push(...some);
    },
    page: async (id: SessionId) => ({ messages: saved.filter(({ sessionId }) => sessionId === id), nextCursor: null }),
  } satisfies Pick<Messages, 'save' | 'page'> & Record<string, unknown>;
  return messages;
}
