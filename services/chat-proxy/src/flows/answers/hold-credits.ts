import type { ErrorCode } from '@tollgate/contracts';
import { AppError, type Origin, unavailable } from '@tollgate/http-kit';
import type { Access } from '../../domain/access.ts';
import { type Chatflow, isFlow } from '../../domain/chatflow.ts';
import {
  type AbsentUsage,
  type Bill,
  chargesPerMessage,
  extendAtOutput,
  extendedHold,
  extendedUnits,
  mostUnits,
  reportsUsage,
} from '../../domain/price.ts';
import { type Reply, tokensOfBytes } from '../../domain/reply.ts';
import type { ClosedHold, Hold, HoldId, Resource, Units } from '../../domain/wire-types.ts';
import type { Accounting, Asker, Clock, HoldRequest, Journal } from '../../ports.ts';
import { billOf, endingOf, isUncounted, voided } from './ending-of-hold.ts';
import type { LeaseKeeper } from './keep-leases.ts';
import { CHECKPOINT_TOKENS, type OpenHold, type Shortage } from './open-hold.ts';
import type { Settler } from './settle-leftovers.ts';

const RETRY_AFTER_SECONDS = 2;
const RETRY_EXTENSION_AT = 1.25;
/** The contract's limit. */
const MOST_MIN_OUTPUT = 1_000_000;

interface HoldOrder {
  readonly holdId: HoldId;
  readonly chatflow: Chatflow;
  readonly reply: Reply;
  /** Output tokens the client wants at most, in each choice. */
  readonly wantedOutput: number | undefined;
  /** Answers to the same question, side by side; 1 when absent. */
  readonly choices?: number;
  /** What ends the answer, and is told when the hold is lost. */
  readonly stop: AbortController;
}

export interface Holds {
  /** Journal and hold, both done before anything is sent upstream. */
  open(caller: Asker, order: HoldOrder): Promise<OpenHold>;
  /** After each part of an answer: what must be done before there is more, when the hold must grow. Rejects when it is used up. */
  growth(hold: OpenHold): (() => Promise<void>) | undefined;
  /** Prices the hold by where the answer comes from instead. Throws, with the hold as it was, when the caller cannot pay that. */
  requote(hold: OpenHold, place: Chatflow): Promise<void>;
  /** What the answer costs as it stands. Beyond the hold accounting decides, so that it is settled first. */
  bill(hold: OpenHold | undefined): Promise<Bill | undefined>;
  /**
   * The bill, written down as the end of the hold before anybody is told of it: our death cannot make the answer cheaper then.
   * In the ledger when the journal is away; throws when neither can be reached, so that nobody takes the answer for paid.
   * Nothing that is charged may be added to the answer any more.
   */
  conclude(hold: OpenHold): Promise<Bill | undefined>;
  /** Settles or voids, once. Never throws. */
  close(hold: OpenHold | undefined): Promise<ClosedHold | undefined>;
}

export interface HoldsDeps {
  readonly accounting: Pick<Accounting, 'hold' | 'mayHaveHeld' | 'extend'>;
  readonly journal: Pick<Journal, 'open' | 'close'>;
  readonly keeper: Pick<LeaseKeeper, 'add' | 'remove' | 'noteSoon'>;
  readonly settler: Pick<Settler, 'decide' | 'end' | 'endLater'>;
  readonly clock: Clock;
  /** The request under way. */
  readonly origin: () => Origin | undefined;
  readonly journalLeaseMs: number;
  /** Output tokens of an answer when nothing else is said. */
  readonly defaultOutput: number;
  /** The shortest answer worth beginning. */
  readonly minOutput: number;
  /** What is charged when an upstream that should report usage does not. */
  readonly absentUsage: AbsentUsage;
}

export const createHolds = (deps: HoldsDeps): Holds => new JournalledHolds(deps);

class JournalledHolds implements Holds {
  readonly #deps: HoldsDeps;

  constructor(deps: HoldsDeps) {
    this.#deps = deps;
  }

  async open(caller: Asker, order: HoldOrder): Promise<OpenHold> {
    const { defaultOutput, keeper, clock } = this.#deps;
    const { holdId, chatflow, reply, wantedOutput = Infinity, choices = 1 } = order;
    const longest = Math.min(wantedOutput, chatflow.maxOutputTokens ?? defaultOutput);
    const grant = await this.#grant(caller, {
      holdId,
      chatflow,
      most: mostUnits(reply.promptBytes, longest * choices),
      choices,
    });
    const hold: OpenHold = {
      id: holdId,
      userId: caller.userId,
      access: accessOf(caller),
      origin: this.#deps.origin(),
      reply,
      place: chatflow,
      choices,
      grant,
      stop: order.stop,
      maxOutput: perChoice(grant.units.output ?? defaultOutput, choices),
      absentUsage: this.#deps.absentUsage,
      isCapped: !isFlow(chatflow),
      extendAt: Infinity,
      endsAfter: Infinity,
      shortOf: 'INSUFFICIENT_CREDITS',
      openedAt: clock.now(),
      checkpointedOutput: 0,
      checkpointedAt: clock.now(),
      renewedAt: clock.now(),
    };
    hold.extendAt = firstLimitOf(hold);
    keeper.add(hold);
    return hold;
  }

  growth(hold: OpenHold): (() => Promise<void>) | undefined {
    const output = hold.reply.meteredOutput;
    if (output - hold.checkpointedOutput >= CHECKPOINT_TOKENS) this.#deps.keeper.noteSoon();
    const progress = progressOf(hold);
    if (progress > hold.endsAfter) return () => Promise.reject(new AppError(hold.shortOf));
    return progress >= hold.extendAt ? () => this.#extend(hold) : undefined;
  }

  async requote(hold: OpenHold, place: Chatflow): Promise<void> {
    const { accounting } = this.#deps;
    const { userId, grant, reply, choices } = hold;
    const resource = resourceOf(place);
    const raised = async (units: Units, from: Hold) => {
      const least = units.output === undefined ? {} : { minOutput: this.#leastOutput(units.output, choices) };
      return extendedHold(await accounting.extend(userId, from, { units, ...least, resource }), units);
    };
    const most = mostUnits(reply.promptBytes, hold.maxOutput * choices);
    let quoted = await raised(reportsUsage(place) ? grant.units : { request: 1 }, grant);
    if (!reportsUsage(place) && !chargesPerMessage(quoted.price)) quoted = await raised(most, quoted);
    hold.grant = quoted;
    hold.place = place;
    if (quoted.units.output !== undefined) hold.maxOutput = perChoice(quoted.units.output, choices);
    hold.extendAt = firstLimitOf(hold);
  }

  async bill(hold: OpenHold | undefined): Promise<Bill | undefined> {
    const own = hold && billOf(hold);
    if (hold && isUncounted(hold)) throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the upstream reported no usage');
    if (!own || own.credits <= hold.grant.heldCredits) return own;
    const closed = await this.close(hold);
    return closed ? { ...own, credits: closed.chargedCredits, remainingCredits: closed.availableCredits } : own;
  }

  async conclude(hold: OpenHold): Promise<Bill | undefined> {
    const bill = await this.bill(hold);
    if (!bill) return bill;
    const { id: holdId, userId } = hold;
    const ending = hold.concluded?.ending ?? endingOf(hold);
    const write = (): Promise<boolean> => this.#deps.settler.decide({ holdId, userId, ending });
    if (!hold.closing) {
      const isWritten = await write();
      hold.concluded = { ending, isWritten };
      if (isWritten) return bill;
    }
    // The journal is away, or the ledger was asked first: one of them has to know it.
    if ((await this.close(hold)) || (await write())) return bill;
    throw unavailable('ACCOUNTING_UNAVAILABLE', RETRY_AFTER_SECONDS);
  }

  async close(hold: OpenHold | undefined): Promise<ClosedHold | undefined> {
    if (!hold) return undefined;
    hold.closing ??= this.#end(hold);
    return hold.closing;
  }

  #end(hold: OpenHold): Promise<ClosedHold | undefined> {
    this.#deps.keeper.remove(hold.id);
    const { id: holdId, userId, origin } = hold;
    const end = hold.concluded ?? { ending: endingOf(hold) };
    return this.#deps.settler.end({ holdId, userId, origin, ...end });
  }

  async #grant(
    caller: Asker,
    order: { holdId: HoldId; chatflow: Chatflow; most: Units; choices: number },
  ): Promise<Hold> {
    const { holdId, chatflow, most, choices } = order;
    const resource = resourceOf(chatflow);
    if (reportsUsage(chatflow)) {
      const minOutput = this.#leastOutput(most.output, choices);
      // What makes no output cannot be made shorter.
      return this.#holdAndJournal(caller, { holdId, resource, units: most, ...(minOutput > 0 && { minOutput }) });
    }
    // Charged by the message as a rule: then tokens must not be reserved that nobody is going to count.
    const flat = await this.#holdAndJournal(caller, { holdId, resource, units: { request: 1 } });
    if (chargesPerMessage(flat.price)) return flat;
    try {
      return extendedHold(await this.#deps.accounting.extend(caller.userId, flat, { units: most }), most);
    } catch (error) {
      const { settler, origin } = this.#deps;
      settler.endLater({ holdId, userId: caller.userId, origin: origin(), ending: voided('not covered') });
      throw error;
    }
  }

  /** The shortest answer worth beginning, in all of its choices. */
  #leastOutput(most: number | undefined, choices: number): number {
    return Math.min(this.#deps.minOutput * choices, most ?? Infinity, MOST_MIN_OUTPUT);
  }

  async #holdAndJournal(caller: Asker, request: HoldRequest): Promise<Hold> {
    const { accounting, journal, clock, journalLeaseMs, settler } = this.#deps;
    const origin = this.#deps.origin();
    const owner = { holdId: request.holdId, userId: caller.userId, ...(origin && { origin }) };
    const { workspaceId } = caller;
    const [granted, journalled] = await Promise.allSettled([
      accounting.hold(caller, request),
      journal.open({ ...owner, ...(workspaceId && { workspaceId }) }, new Date(clock.now() + journalLeaseMs)),
    ]);
    if (granted.status === 'fulfilled' && journalled.status === 'fulfilled') return granted.value;
    if (granted.status === 'rejected' && !accounting.mayHaveHeld(granted.reason)) {
      void journal.close(request.holdId).catch(() => settler.endLater({ ...owner, ending: voided('refused') }));
      throw granted.reason;
    }
    // Nobody knows whether there is a hold, or it is not written down: end it, however long that takes.
    settler.endLater({ ...owner, ending: voided('not dispatched') });
    if (granted.status === 'rejected') throw granted.reason;
    throw unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS, Object(journalled).reason);
  }

  async #extend(hold: OpenHold): Promise<void> {
    const progress = progressOf(hold);
    const units = extendedUnits(hold.grant, hold.reply);
    try {
      const granted = await this.#deps.accounting.extend(hold.userId, hold.grant, {
        units,
        minOutput: Math.min(progress + 1, MOST_MIN_OUTPUT),
      });
      hold.grant = extendedHold(granted, units);
    } catch (error) {
      if (isShort(error)) hold.shortOf = error.code;
      else {
        if (isRefusal(error)) throw error;
        // Accounting cannot be reached or has no time: a running answer goes on, and by our own count is charged for at most
        // what is reserved.
        hold.extendAt = Math.ceil(progress * RETRY_EXTENSION_AT);
        return;
      }
    }
    const covered = hold.grant.units.output ?? Infinity;
    if (covered >= (units.output ?? 0)) hold.extendAt = Math.max(limitOf(hold), progress + 1);
    else runOut(hold, covered);
  }
}

/** Without the token, which is not kept for as long as an answer takes. */
function accessOf({ username: _name, token: _token, ...access }: Asker): Access {
  return access;
}

/** An upstream limits each choice by itself, so that all of them together stay within the hold. */
const perChoice = (output: number, choices: number): number => Math.max(1, Math.floor(output / choices));

const resourceOf = ({ upstream, model, id: chatflowId }: Chatflow): Resource => ({ upstream, model, chatflowId });

/** Neither balance nor budget pays for more: what is reserved is used up, and then the answer ends. */
function runOut(hold: OpenHold, covered: number): void {
  hold.extendAt = Infinity;
  hold.endsAfter = covered;
  if (progressOf(hold) > covered) throw new AppError(hold.shortOf);
}

const SHORT: ReadonlySet<string> = new Set<Shortage>(['INSUFFICIENT_CREDITS', 'BUDGET_EXCEEDED']);
const isShort = (error: unknown): error is AppError & { code: Shortage } =>
  error instanceof AppError && SHORT.has(error.code);

/** A 4xx by which accounting has decided; the others only say that it could not do so now. */
const isRefusal = (error: unknown): boolean =>
  error instanceof AppError && error.status < 500 && !UNDECIDED.has(error.code);
const UNDECIDED: ReadonlySet<string> = new Set<ErrorCode>(['RATE_LIMITED', 'IDEMPOTENCY_IN_PROGRESS']);

/**
 * An upstream that keeps to max_tokens makes no more pieces than it was allowed; our estimate from bytes would cut honest
 * answers. The others are watched by the estimate.
 */
function limitOf(hold: OpenHold): number {
  if (hold.isCapped) return (hold.grant.units.output ?? Infinity) + 1;
  return extendAtOutput(hold.grant, tokensOfBytes(hold.reply.promptBytes));
}

/** Charged by the message, a hold never grows. */
const firstLimitOf = (hold: OpenHold): number => (hold.grant.units.output === undefined ? Infinity : limitOf(hold));

const progressOf = ({ isCapped, reply }: OpenHold): number => (isCapped ? reply.deltas : reply.meteredOutput);
