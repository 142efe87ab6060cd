import { randomUUID } from 'node:crypto';
import { type Call, callOnce, callUntilDefinite, isDefinite, type Learned } from './calls.ts';
import type { Outcome } from './outcome.ts';
import type { Delivery, Look, Movement } from './schedule.ts';
import { GRANT, type Stage } from './stage.ts';

const payerOf = (stage: Stage, at: number) => {
  const payer = stage.payers[at];
  if (!payer) throw new RangeError('the schedule names a payer who is not there');
  return payer;
};

/** The same credits, several times with one key. */
export async function move(stage: Stage, movement: Movement): Promise<Outcome> {
  const { fleet, admin } = stage;
  const payer = payerOf(stage, movement.payer);
  const credits = 2 ** movement.bit;
  const isGrant = movement.kind === 'allocate';
  const call: Omit<Call, 'token'> = {
    method: 'POST',
    url: `${fleet.urls.accounting}/api/credits/${movement.kind}`,
    headers: { 'idempotency-key': `chaos-${movement.id}` },
    body: isGrant ? { userId: payer.userId, credits, notes: 'chaos' } : { credits },
  };
  const once = async (): Promise<Learned> =>
    callOnce({ ...call, token: (await (isGrant ? admin : payer).person()).accessToken });
  const early = await Promise.all(Array.from({ length: movement.copies - 1 }, once));
  const { last } = await callUntilDefinite(once);
  const all = [...early, last];
  const good = all.filter((one) => one.kind === 'answer' && one.status < 300);
  const bodies = new Set(good.map((one) => JSON.stringify(one.kind === 'answer' && one.body)));
  return {
    id: movement.id,
    verdict: good.length > 0 ? 'done' : all.every(isRefused) ? 'not' : 'maybe',
    told: good.length,
    isHung: all.some(({ kind }) => kind === 'hung'),
    ending: endingOf(last),
    requestIds: [],
    wrong: bodies.size > 1 ? [`was answered in ${bodies.size} ways: ${[...bodies].join(' ')}`] : [],
  };
}

const isRefused = (one: Learned): boolean => isDefinite(one) && one.kind === 'answer' && one.status >= 400;

/** A hold of its own and its messages, as the schedule delivers them. */
export async function deliver(stage: Stage, delivery: Delivery): Promise<Outcome> {
  const { fleet } = stage;
  const payer = payerOf(stage, delivery.payer);
  const holdId = randomUUID();
  const units = { output: 2 ** delivery.bit };
  const post = (path: string, key: string, body: unknown) => async (): Promise<Learned> =>
    callOnce({
      method: 'POST',
      url: `${fleet.urls.accounting}/api/holds${path}`,
      token: await fleet.tokens.service('chat-proxy', 'accounting'),
      headers: { 'x-on-behalf-of': payer.userId, 'idempotency-key': key },
      body,
    });
  const opened = await callUntilDefinite(
    post('', `open-${holdId}`, { holdId, resource: { upstream: 'openai', model: 'priced' }, units }),
  );
  const messages = {
    settle: post(`/${holdId}/settle`, `settle-${holdId}`, { outcome: 'completed', units, usageSource: 'provider' }),
    void: post(`/${holdId}/void`, `void-${holdId}`, { reason: 'chaos' }),
    renew: post(`/${holdId}/renew`, `renew-${holdId}`, { fence: 1, checkpoint: { output: 1 } }),
  };
  const answers: { readonly message: string; readonly learned: Learned }[] = [];
  const send = async (message: keyof typeof messages): Promise<void> => {
    answers.push({ message, learned: (await callUntilDefinite(messages[message])).last });
  };
  if (delivery.sideBySide) await Promise.all(delivery.messages.map(send));
  else for (const message of delivery.messages) await send(message);

  const closed = answers.flatMap(({ learned }) =>
    learned.kind === 'answer' && learned.status === 200 && 'chargedCredits' in learned.body ? [learned.body] : [],
  );
  const states = new Set(closed.map(({ status }) => String(status)));
  return {
    id: delivery.id,
    verdict: states.has('settled') ? 'done' : states.has('voided') ? 'not' : 'maybe',
    told: closed.length,
    isHung: [opened.last, ...answers.map(({ learned }) => learned)].some(({ kind }) => kind === 'hung'),
    ending: [...states].join(' and ') || endingOf(answers.at(-1)?.learned ?? opened.last),
    requestIds: [holdId],
    wrong: states.has('settled') && states.has('voided') ? ['was told to be settled, and to be voided'] : [],
  };
}

/** A balance is never more than was granted, nor less than is left when everything is paid. */
export async function look(stage: Stage, { id, payer: at }: Look): Promise<Outcome> {
  const payer = payerOf(stage, at);
  const { accessToken: token } = await payer.person();
  const learned = await callOnce({ method: 'GET', url: `${stage.fleet.urls.accounting}/api/credits/balance`, token });
  const balance = learned.kind === 'answer' && learned.status === 200 ? Number(learned.body.totalCredits) : undefined;
  const isPossible = balance === undefined || (balance > GRANT / 2 && balance < GRANT * 2);
  return {
    id,
    verdict: 'maybe',
    told: balance === undefined ? 0 : 1,
    isHung: learned.kind === 'hung',
    ending: endingOf(learned),
    requestIds: [],
    wrong: isPossible ? [] : [`saw a balance of ${balance}`],
  };
}

export function endingOf(learned: Learned): string {
  if (learned.kind !== 'answer') return learned.kind;
  return learned.status < 300 ? 'done' : `${learned.status} ${String(learned.body.code)}`;
}
