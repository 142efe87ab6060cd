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

const [ALICE, BOB] = ['alice-00000000', 'bob-00000000'] as const;
const AT_ONCE = 8;
const A_MINUTE = 60_000;

/** Sends what is no good HTTP to both frameworks: nobody gets an answer that is not theirs, and every process lives on. */
export async function fuzzRaw(
  platform: Platform,
  options: { seed: number; runs: number },
): Promise<{ sent: number; found: Found[] }> {
  const [alice, bob] = [await platform.user({ credits: 1 }), await platform.user({ credits: 1 })];
  const found: Found[] = [];
  let sent = 0;
  for (const place of PLACES) {
    const people = { alice: askedBy(alice, place, ALICE), bob: askedBy(bob, place, BOB) };
    const cases = casesFor(people, options);
    for (let at = 0; at < cases.length; at += AT_ONCE) {
      const batch = cases.slice(at, at + AT_ONCE);
      await Promise.all(
        batch.map(async ({ pieces, mayFollow }) => {
          const received = await exchange(platform.urls[place.service], pieces);
          for (const what of judged(received, { alice, bob }, mayFollow)) {
            const sentText = Buffer.concat(pieces)
              .toString('latin1')
              .replaceAll(/Bearer ey\S+/g, 'Bearer …');
            found.push({ operation: place.service, what, example: JSON.stringify(sentText).slice(0, 600) });
          }
        }),
      );
      sent += batch.length;
      if (!(await isAlive(platform, people.bob, place)))
        found.push({
          operation: place.service,
          what: 'nobody is answered any more',
          example: `after ${sent} requests`,
        });
    }
    const { log } = platform[place.service];
    if (/unhandled|uncaught/i.test(log))
      found.push({ operation: place.service, what: 'a fault that nobody has caught', example: log.slice(-500) });
  }
  return { sent, found };
}

interface Case {
  readonly pieces: Uint8Array[];
  /** Whether the second request is one, and no part of the first. */
  readonly mayFollow: boolean;
}

function casesFor(
  { alice, bob }: { alice: Asked; bob: Asked },
  { seed, runs }: { seed: number; runs: number },
): Case[] {
  const drawn = fc.sample(brokenWires(alice, bob), { seed, numRuns: runs });
  const hidden = smuggles(alice, bob).map((text) => [Buffer.from(text, 'latin1')]);
  return [
    ...drawn.map((pieces) => ({ pieces, mayFollow: true })),
    ...hidden.map((pieces) => ({ pieces, mayFollow: false })),
  ];
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
    if (body.includes(bob.userId) && requestId !== BOB) faults.push(`an answer for bob came as that to ${requestId}`);
    if (body.includes(alice.userId) && requestId === BOB) faults.push('an answer for alice came as that to bob');
    if (requestId === BOB && !mayFollow) faults.push('a hidden request was answered');
  }
  if (answers.length > 2) faults.push(`${answers.length} answers to 2 requests`);
  return faults;
}

async function isAlive(platform: Platform, asked: Asked, { service }: Place): Promise<boolean> {
  const answers = answersIn(await exchange(platform.urls[service], [Buffer.from(innocent(asked))], A_MINUTE));
  return answers?.length === 1 && answers[0]?.status === 200 && answers[0].requestId === asked.requestId;
}
