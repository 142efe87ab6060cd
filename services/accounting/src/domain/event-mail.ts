import type { accounting } from '@tollgate/contracts';

/** Paragraphs of a mail. */
export type EventLetter = Readonly<{ subject: string; blocks: readonly string[] }>;

type EventOf<Type extends accounting.OutboxEventType> = Extract<accounting.OutboxEvent, { type: Type }>;

/** What the owner of an account reads; nothing that a person typed stands in the subject. */
export function letterToOwner(event: EventOf<'credits.low'>, username: string | null): EventLetter {
  const { data } = event;
  const left = data.availableCredits + data.heldCredits;
  const isEmpty = left === 0;
  return {
    subject: isEmpty ? 'Your credits are used up' : 'Your credits are running low',
    blocks: [
      `Hello ${username ?? ''}`.trim() + ',',
      isEmpty ? 'You have no credits left.' : `You have ${creditsOf(left)} left${heldOf(data.heldCredits)}.`,
      `You are told because ${thresholdOf(data)}. You will hear from us again only after you have got more.`,
    ],
  };
}

/** What operators read. */
export function letterToOperators(event: accounting.OutboxEvent): EventLetter {
  return {
    subject: `Tollgate: ${SUBJECTS[event.type]}`,
    blocks: [
      `${SUBJECTS[event.type]} (${event.type}), ${event.timestamp}.`,
      ...Object.entries(event.data).map(([name, value]) => `${name}: ${shown(value)}`),
    ],
  };
}

const SUBJECTS: Readonly<Record<accounting.OutboxEventType, string>> = {
  'credits.low': 'an account runs low on credits',
  'ledger.drift': 'the books do not agree',
  'ledger.head': 'a signed head of the ledger',
  'usage.overrun': 'a charge was not covered',
  'tenant.changed': 'the settings of the installation were changed',
};

const LONGEST_VALUE = 500;
const shown = (value: unknown): string =>
  (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, LONGEST_VALUE);

const creditsOf = (credits: number): string => (credits === 1 ? '1 credit' : `${credits} credits`);
const heldOf = (held: number): string => (held === 0 ? '' : `, ${held} of them held for answers that are under way`);

const thresholdOf = ({ threshold, baseCredits }: EventOf<'credits.low'>['data']): string =>
  threshold.kind === 'percent'
    ? `${threshold.value} % or less remain of the ${creditsOf(baseCredits)} that you had after the last top-up`
    : `${creditsOf(threshold.value)} or less remain`;
