import type { Person, Platform } from '@tollgate/test-kit';
import fc from 'fast-check';
import type { Found } from '../operations.ts';
import { type Asked, brokenWires, innocent, smuggles } from './broken-wire.ts';
import { answersIn, exchange } from './exchange.ts';

/** Where each service tells a caller who they are: Express twice, Fastify once. */
const PLACES = [
  { service: 'auth', path: '/api/profile' },
  { service: 'accounting', path: '/api/credits/transactions?limit=1' },
  { service: 'chatProxy', path: '/api/v1/chat/sessions' },
] as const;
type Place = (typeof PLACES)[number];

const AT_ONCE = 8;

/** Sends what is no good HTTP to both frameworks: nobody gets an answer that is not theirs, and every process lives on. */
export async function fuzzRaw(
  platform: Platform,
  options: { seed: number; runs: number },
): Promise<{ sent: number; found: Found[] }> {
  const [alice, bob] = [await platform.user({ credits: 1 }), await platform.user({ credits: 1 })];
  const found: Found[] = [];
  let sent = 0;
  for (const place of PLACES) {
    const [mine, theirs] = [askedBy(alice, place, 'alice'), askedBy(bob, place, 'bob')];
    const drawn = fc.sample(brokenWires(mine, theirs), { seed: options.seed, numRuns: options.runs });
    const hidden = smuggles(mine, theirs).map((text) => [Buffer.from(text, 'latin1')]);
    for (const [pieces, mayFollow] of [
      ...drawn.map((one) => [one, true] as const),
      ...hidden.map((one) => [one, false] as const),
    ]) {
      sent += 1;
      const note = (what: string): void =>
        void found.push({
          operation: place.service,
          what,
          example: JSON.stringify(Buffer.concat(pieces).toString('latin1')).slice(0, 600),
        });
      for (const what of judged(await exchange(platform.urls[place.service], pieces), { alice, bob }, mayFollow))
        note(what);
      if (sent % AT_ONCE === 0 && !(await isAlive(platform, theirs, place))) note('nobody is answered any more');
    }
    const { log } = { auth: platform.auth, accounting: platform.accounting, chatProxy: platform.chatProxy }[
      place.service
    ];
    if (/unhandled|uncaught/i.test(log))
      found.push({ operation: place.service, what: 'a fault that nobody has caught', example: log.slice(-500) });
  }
  return { sent, found };
}

const askedBy = (person: Person, { path }: Place, requestId: string): Asked => ({
  path,
  token: person.accessToken,
  requestId,
});

interface People {
  readonly alice: Person;
  readonly bob: Person;
}

function judged(received: string, { alice, bob }: People, mayFollow: boolean): string[] {
  const answers = answersIn(received);
  if (!answers) return [`answers are mixed up: ${received.slice(0, 300)}`];
  const faults = answers.filter(({ status }) => status >= 500).map(({ status }) => `answered ${status}`);
  for (const { body, requestId } of answers) {
    if (body.includes(bob.userId) && requestId !== 'bob') faults.push(`an answer for bob came as that to ${requestId}`);
    if (body.includes(alice.userId) && requestId === 'bob') faults.push('an answer for alice came as that to bob');
    if (requestId === 'bob' && !mayFollow) faults.push('a hidden request was answered');
  }
  if (answers.length > 2) faults.push(`${answers.length} answers to 2 requests`);
  return faults;
}

async function isAlive(platform: Platform, asked: Asked, { service }: Place): Promise<boolean> {
  const answers = answersIn(await exchange(platform.urls[service], [Buffer.from(innocent(asked))]));
  return answers?.length === 1 && answers[0]?.status === 200 && answers[0].requestId === asked.requestId;
}
