import { directive, type Scenario } from '@tollgate/test-kit';
import { DOORS, type Heard, type Question } from '../doors.ts';
import { callOnce, PATIENCE_MS } from './calls.ts';
import type { Outcome } from './outcome.ts';
import type { Chat } from './schedule.ts';
import type { Payer, Stage } from './stage.ts';

const AGAIN_MS = 700;
const MOST_AGAIN = 12;

/** One question at its door, and again when it came with a key. */
export async function ask(stage: Stage, chat: Chat): Promise<Outcome> {
  const payer = stage.payers[chat.payer];
  const door = DOORS.find(({ name }) => name === chat.door);
  if (!payer || !door) throw new RangeError('the schedule names somebody, or a door, that is not there');
  const once = async (): Promise<Heard> => {
    const patience = AbortSignal.timeout(PATIENCE_MS);
    const question = questionOf(stage, chat, { payer, patience });
    const heard = await door.ask({ urls: stage.fleet.urls }, await payer.person(), question);
    return patience.aborted ? { ...heard, code: 'hung' } : heard;
  };
  const all = chat.way.how === 'repeat' ? await repeated(chat.way.copies, once) : [await once()];
  return judgeHeard(chat, all);
}

/** Side by side, and then one after the other until one is told the end. */
async function repeated(copies: number, once: () => Promise<Heard>): Promise<Heard[]> {
  const all = await Promise.all(Array.from({ length: copies }, once));
  for (let again = 0; again < MOST_AGAIN; again += 1) {
    const last = await once();
    all.push(last);
    if (isComplete(last) || (!last.isCut && last.code !== undefined && !PASSING.has(last.code))) break;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
  return all;
}

/** Refusals after which the same may be asked again. */
const PASSING: ReadonlySet<string> = new Set([
  'idempotency_in_progress',
  'accounting_unavailable',
  'dependency_unavailable',
  'upstream_unavailable',
  'rate_limited',
]);

function questionOf(
  { chatflows, fleet }: Stage,
  chat: Chat,
  { payer, patience }: { readonly payer: Payer; readonly patience: AbortSignal },
): Question {
  const { way, id } = chat;
  const stop = (requestId: string | undefined): void => {
    if (requestId === undefined) return;
    const url = `${fleet.urls.chatProxy}/api/v1/chat/streams/${requestId}`;
    void payer.person().then(({ accessToken }) => callOnce({ method: 'DELETE', url, token: accessToken }));
  };
  return {
    text: `Question ${id} ${directive(scenarioOf(chat))}`,
    chatflowId: chatflows[chat.upstream],
    patience,
    ...(way.how === 'leave' && { leave: { afterTokens: way.after } }),
    ...(way.how === 'stop' && { after: { tokens: way.after, act: stop } }),
    ...(way.how === 'slow' && { paceMs: way.paceMs }),
    ...(way.how === 'repeat' && { headers: { 'idempotency-key': `chaos-${id}` } }),
  };
}

/** Every word names its answer, so that a word of another's is seen; and is short enough to be counted as one token. */
const wordsOf = ({ id, tokens }: Chat): string[] =>
  Array.from({ length: tokens }, (_, at) => `${id.toString(36).padStart(4, '0')}.${at.toString(36)} `);

function scenarioOf(chat: Chat): Scenario {
  const { tokenDelayMs, firstTokenDelayMs, fault, faultAfter } = chat;
  return {
    tokens: wordsOf(chat),
    tokenDelayMs,
    firstTokenDelayMs,
    // What a whole answer costs; one that breaks off is charged for the tokens that came.
    usage: { input: 1, output: 2 ** chat.bit },
    ...(fault === 'reset' && { resetAfter: faultAfter }),
    ...(fault === 'cut' && { cutAfter: faultAfter }),
    ...(fault === 'error' && { errorEvent: { after: faultAfter } }),
    ...(fault === 'status' && { error: { status: 503 } }),
  };
}

const isComplete = ({ status, isWhole, code }: Heard): boolean => status === 200 && isWhole && code === undefined;

function judgeHeard(chat: Chat, all: readonly Heard[]): Outcome {
  const last = all.at(-1);
  const hung = all.find(({ code }) => code === 'hung');
  // A stop may come before the last token or after it.
  const isDone = chat.way.how !== 'stop' && all.some(isComplete);
  const isRefused = all.every(({ status, isCut }) => status >= 400 && status < 500 && !isCut);
  return {
    id: chat.id,
    verdict: isDone ? 'done' : isRefused ? 'not' : 'maybe',
    told: all.filter(isComplete).length,
    isHung: hung !== undefined,
    ending: hung ? `hung, ${hung.step}` : last ? endingOf(last) : 'nothing',
    requestIds: [...new Set(all.flatMap(({ requestId }) => requestId ?? []))],
    wrong: all.flatMap((heard) => faultsOf(chat, heard)),
  };
}

/** Whether it is its own answer, and at its own price. */
function faultsOf(chat: Chat, heard: Heard): string[] {
  const whole = wordsOf(chat).join('');
  const { text, usage } = heard;
  if (chat.way.how === 'stop' || !isComplete(heard)) return whole.startsWith(text) ? [] : [notOwn(text)];
  const price = 2 ** chat.bit;
  return [
    ...(text === whole ? [] : [notOwn(text)]),
    ...(usage && !usage.estimated && usage.credits !== price
      ? [`was told that it costs ${usage.credits} and not ${price}`]
      : []),
  ];
}

const notOwn = (text: string): string => `heard ${JSON.stringify(text.slice(0, 200))} and not its own answer`;

function endingOf(heard: Heard): string {
  if (heard.hasLeft) return 'left';
  if (heard.isCut) return 'cut';
  return isComplete(heard) ? 'whole' : `${heard.status} ${heard.code ?? 'without an end'}`;
}
