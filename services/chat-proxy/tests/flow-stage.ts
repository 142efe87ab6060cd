import { randomUUID } from 'node:crypto';
import { AppError } from '@tollgate/http-kit';
import { manualClock } from '@tollgate/test-kit';
import type { AnswerEvent, UpstreamPart } from '../src/domain/answer.ts';
import type { Chatflow } from '../src/domain/chatflow.ts';
import type { Facts } from '../src/domain/facts.ts';
import { chat, type ChatDeps } from '../src/flows/chat.ts';
import { createConversations } from '../src/flows/hold-conversation.ts';
import { createHolds } from '../src/flows/hold-credits.ts';
import { createLeaseKeeper } from '../src/flows/keep-leases.ts';
import type { Ask } from '../src/flows/prepare-ask.ts';
import { createSaveBuffer } from '../src/flows/save-later.ts';
import { createSettler } from '../src/flows/settle-leftovers.ts';
import { ALICE, chatflowOf, holdId, MODEL, TOKEN_PRICE } from './doubles.ts';
import { createBank, createJournal, createMessages, createSessions, createUpstream, type Step } from './flow-ports.ts';

export type { Step };

/** The flow with everything around it in memory; `log` keeps the order in which the outside world was asked. */
export function createStage() {
  const log: string[] = [];
  const told: { name: keyof Facts; fact: object }[] = [];
  const clock = manualClock();
  const accounting = createBank(log);
  const journal = createJournal(log);
  const sessions = createSessions(log);
  const messages = createMessages(log);
  const upstream = createUpstream(log);
  const tell = <Name extends keyof Facts>(name: Name, fact: Facts[Name]) => void told.push({ name, fact });
  const leases = { journalLeaseMs: 30_000, sessionLeaseMs: 60_000 };
  const settler = createSettler({ accounting, journal, clock, tell, random: () => 0.5, ...leases });
  const keeper = createLeaseKeeper({ accounting, journal, sessions, clock, tell, soon: (work) => work(), ...leases });
  const saveLater = createSaveBuffer({ clock, tell });
  const stopping = new AbortController();
  const finished: { code: unknown }[] = [];
  const chatflows = new Map<string, Chatflow>([[chatflowOf().id, chatflowOf()]]);
  const deps: ChatDeps = {
    chatflows: { findFor: async (_, id) => chatflows.get(id) },
    conversations: createConversations({
      sessions,
      messages,
      saveLater,
      newId: randomUUID,
      clock,
      pause: async () => undefined,
      sessionLeaseMs: leases.sessionLeaseMs,
    }),
    holds: createHolds({ accounting, journal, keeper, settler, clock, defaultOutput: 1024, minOutput: 256, ...leases }),
    upstreams: { flowise: upstream, openai: upstream },
    newRequestId: holdId,
    clock,
    stopping: stopping.signal,
    finished: ({ error }) => void finished.push({ code: error instanceof AppError ? error.code : error }),
  };
  const asker = { userId: ALICE, username: 'alice', token: 'alice-token' };
  const ask = (changes: Partial<Ask> = {}): Ask => ({
    question: 'What is a toll?',
    chatflowId: chatflowOf().id,
    history: [],
    uploads: [],
    overrides: {},
    stores: true,
    ...changes,
  });
  return {
    log,
    told,
    clock,
    accounting,
    journal,
    sessions,
    messages,
    upstream,
    settler,
    keeper,
    saveLater,
    stopping,
    finished,
    chatflows,
    ask,
    start: (changes: Partial<Ask> = {}, signal: AbortSignal = new AbortController().signal) =>
      chat(deps, asker, ask(changes), signal),
  };
}

export type Stage = ReturnType<typeof createStage>;

export const text = (words: string): UpstreamPart => ({ kind: 'text', text: words });

/** Reads to the end, or to the failure. */
export async function readAll(answer: AsyncIterable<AnswerEvent>): Promise<{ events: AnswerEvent[]; error: unknown }> {
  const events: AnswerEvent[] = [];
  try {
    for await (const event of answer) events.push(event);
    return { events, error: undefined };
  } catch (error) {
    return { events, error };
  }
}

export const namesOf = (events: readonly { event: string }[]): string[] => events.map(({ event }) => event);
export const codeOf = (error: unknown): unknown => (error instanceof AppError ? error.code : error);
export const METADATA: Step = { kind: 'event', event: { event: 'metadata', data: { question: 'q' } } };

/** A stage on which the upstream takes these steps. */
export function stageWith(steps: Step[], prepare: (stage: Stage) => void = () => undefined): Stage {
  const stage = createStage();
  stage.upstream.steps = steps;
  prepare(stage);
  return stage;
}

/** A model that costs a credit for each token. */
export const withModel = (stage: Stage): void => {
  stage.chatflows.set(MODEL.id, MODEL);
  stage.accounting.price = TOKEN_PRICE;
};
