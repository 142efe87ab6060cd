import { type QuotaState, quotaExceeded, quotaHeaders } from '@tollgate/http-kit';
import type { Chatflow } from '../../domain/chatflow.ts';
import type { HoldId } from '../../domain/wire-types.ts';
import type { Asker, Owner } from '../../ports.ts';
import type { Slots } from './hold-slots.ts';
import type { SharedRate } from './shared-rate.ts';

/** 0: no limit. */
export interface LimitSettings {
  readonly perUserPerMinute: number;
  readonly perKeyPerMinute: number;
  readonly parallelPerUser: number;
}

/** The place of one answer. */
export interface Seat {
  /**
   * Rejects with PARALLEL_LIMIT when all places turn out to be taken: to be known before the upstream is called. Absent when
   * nothing limits them.
   */
  readonly granted: Promise<void> | undefined;
  leave(): void;
}

export interface AnswerLimits {
  /** For a request that begins an answer: RATE_LIMITED, or the headers that say what is left. */
  admit(asker: Asker): Promise<Record<string, string>>;
  /** For the answer itself, once the chatflow is known. A refusal takes back what `admit` has spent. */
  enter(asker: Asker, chatflow: Chatflow, requestId: HoldId): Promise<Seat>;
}

export interface AnswerLimitsDeps {
  readonly rates: Readonly<Record<Kind, SharedRate>>;
  readonly slots: Slots;
  readonly settings: LimitSettings;
}

type Kind = 'user' | 'key' | 'chatflow';

interface Rate {
  readonly kind: Kind;
  readonly subject: string;
  readonly most: number;
}

const WINDOW_SECONDS = 60;
const POLICIES = { user: 'requests-per-user', key: 'requests-per-key', chatflow: 'requests-per-chatflow' } as const;

/** How often and how many at a time: by user, by API key and by chatflow. Accounting has limits of its own beside them. */
export function createAnswerLimits({ rates, slots, settings }: AnswerLimitsDeps): AnswerLimits {
  // Wherever the user works: whoever founds a workspace has no more requests for it.
  const ratesOf = ({ userId, apiKey }: Asker): Rate[] =>
    [
      { kind: 'user' as const, subject: userId, most: settings.perUserPerMinute },
      { kind: 'key' as const, subject: apiKey?.id ?? '', most: apiKey ? settings.perKeyPerMinute : 0 },
    ].filter(({ most }) => most > 0);
  const giveBack = (spent: readonly Rate[]): void => {
    for (const { kind, subject } of spent) rates[kind].giveBack(subject);
  };

  /** All of them, or none. */
  async function spend(wanted: readonly Rate[]): Promise<QuotaState[]> {
    const quotas: QuotaState[] = [];
    for (const [at, { kind, subject, most }] of wanted.entries()) {
      const { isAllowed, ...left } = await rates[kind].take(subject, most);
      const quota = { name: POLICIES[kind], most, windowSeconds: WINDOW_SECONDS, ...left };
      if (!isAllowed) {
        giveBack(wanted.slice(0, at));
        throw quotaExceeded(quota);
      }
      quotas.push(quota);
    }
    return quotas;
  }

  async function seat({ userId }: Owner, chatflow: Chatflow, requestId: HoldId): Promise<Seat> {
    const places = [
      { subject: `user:${userId}`, most: settings.parallelPerUser },
      { subject: `chatflow:${chatflow.id}`, most: chatflow.parallelAnswers ?? 0 },
    ].filter(({ most }) => most > 0);
    if (places.length === 0) return { granted: undefined, leave: () => undefined };
    const leave = (): void => {
      for (const { subject } of places) slots.release(subject, requestId);
    };
    const granted = Promise.all(places.map(({ subject, most }) => slots.take(subject, requestId, most))).then(
      () => undefined,
      (error: unknown) => {
        leave();
        throw error;
      },
    );
    // Whoever was refused a moment ago is not let near the books again before a place is known to be free.
    if (places.some(({ subject }) => slots.isTight(subject))) await granted;
    granted.catch(() => undefined);
    return { granted, leave };
  }

  return {
    admit: async (asker) => quotaHeaders(await spend(ratesOf(asker))),
    async enter(asker, chatflow, requestId) {
      const own = chatflow.requestsPerMinute;
      const wanted: Rate[] = own === null ? [] : [{ kind: 'chatflow', subject: chatflow.id, most: own }];
      const refuse = (): void => giveBack([...wanted, ...ratesOf(asker)]);
      try {
        await spend(wanted);
      } catch (error) {
        giveBack(ratesOf(asker));
        throw error;
      }
      try {
        const taken = await seat(asker, chatflow, requestId);
        // That all places are taken may turn out later.
        taken.granted?.catch(refuse);
        return taken;
      } catch (error) {
        refuse();
        throw error;
      }
    },
  };
}
