import { directive, eventually, type Person, type Platform, type Scenario } from '@tollgate/test-kit';
import type { Door } from './doors.ts';
import { type Adapter, chatflowOf, closedHoldOf } from './faults.ts';

/** A client that leaves at one moment of an answer. */
export interface Leaving {
  readonly when: string;
  readonly scenario: Scenario;
  /** 0: before the first token. */
  readonly afterTokens: number;
  readonly leaveAt?: string;
}

export interface Left {
  readonly when: string;
  readonly adapter: Adapter;
  readonly door: string;
  /** Output tokens that the upstream counted as produced. */
  readonly produced: number;
  /** Credits charged, at one for each. */
  readonly charged: number;
  readonly hold: string;
  /** Milliseconds until the upstream had been told to stop. */
  readonly stoppedMs: number;
}

/** Leaves, and tells what upstream and ledger say. Nobody else may ask this upstream meanwhile. */
export async function leave(
  platform: Platform,
  person: Person,
  { leaving, adapter, door }: { leaving: Leaving; adapter: Adapter; door: Door },
): Promise<Left> {
  const { when, scenario, afterTokens, leaveAt } = leaving;
  const upstream = platform[adapter];
  const number = upstream.calls();
  // Before the first token there is nothing to hear: the client leaves once the upstream has been asked.
  const asked = upstream.untilCall(number);
  const question = {
    text: `Question ${directive(scenario)}`,
    chatflowId: chatflowOf(platform, adapter),
    ...(leaveAt === undefined && { leave: { afterTokens, ...(afterTokens === 0 && { when: asked }) } }),
    ...(leaveAt !== undefined && { leaveAt }),
  };
  await door.ask(platform, person, question);
  const left = performance.now();
  await untilStopped(platform, adapter, number);
  const stoppedMs = Math.round(performance.now() - left);
  const hold = await closedHoldOf(platform, person);
  const { usage } = await upstream.untilCall(number);
  return {
    when,
    adapter,
    door: door.name,
    produced: usage.output,
    charged: hold.charged,
    hold: hold.status,
    stoppedMs,
  };
}

/** A model is stopped by its socket, an agent flow by name. */
async function untilStopped({ openai, flowise }: Platform, adapter: Adapter, number: number): Promise<void> {
  if (adapter === 'openai') await openai.untilClosed(number);
  else await flowise.untilAborted((await flowise.untilCall(number)).chatId);
  const upstream = { openai, flowise }[adapter];
  await upstream.untilGenerated(number);
}

/** Resolves when the proxy has nothing under way any more: no answer, no settlement, no message to be saved. */
export async function untilIdle({ urls }: Platform): Promise<void> {
  await eventually(async () => {
    const text = await (await fetch(`${urls.chatProxy}/metrics`)).text();
    const figures = ['streams_running', 'leftover_holds', 'unsaved_messages'].map((name) =>
      Number(new RegExp(`^tollgate_${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(text)?.[1]),
    );
    return figures.every((figure) => figure === 0) ? true : undefined;
  }, 'the proxy to be idle');
}
