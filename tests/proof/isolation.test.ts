import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Person, type Platform, startPlatform } from '@tollgate/test-kit';
import { type Heard, DOORS } from './doors.ts';
import { found, join } from '../e2e/stage.ts';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 120_000);
afterAll(() => platform.stop());

const PAIRS = 50;
/** A word of each side in each conversation, by which everything it says can be told. */
const wordOf = (side: number, pair: number): string => `${['amber', 'bronze'][side]}-${pair}-`;
const others = (side: number): string => ['bronze', 'amber'][side] ?? '';

/** Two sides that name the same conversations at the same time. */
async function talkAtOnce(sides: readonly Person[]) {
  const sessions = Array.from({ length: PAIRS }, () => randomUUID());
  const chatflows = [platform.chatflows.model, platform.chatflows.agentflow, platform.chatflows.chain];
  const say = (text: (side: number, pair: number) => string) =>
    Promise.all(
      sessions.map((sessionId, pair) =>
        Promise.all(
          sides.map(async (person, side): Promise<Heard> => {
            const door = DOORS[pair % 2];
            const chatflowId = chatflows[pair % chatflows.length] ?? '';
            if (!door) throw new RangeError('there is no door');
            return door.ask(platform, person, { text: text(side, pair), chatflowId, sessionId });
          }),
        ),
      ),
    );
  const first = await say((side, pair) => `My word is ${wordOf(side, pair)}`);
  const second = await say(() => 'What did I say?');
  const histories = await Promise.all(
    sessions.map((sessionId) =>
      Promise.all(sides.map((person) => person.chatProxy('GET', `/api/v1/chat/sessions/${sessionId}/history`))),
    ),
  );
  return { sessions, first, second, histories };
}

type Talk = Awaited<ReturnType<typeof talkAtOnce>>;

/** What one side must never see of the other. */
function expectApart(talk: Talk): void {
  for (let pair = 0; pair < PAIRS; pair += 1) {
    const owners = [0, 1].filter((side) => talk.first[pair]?.[side]?.status === 200);
    expect(owners).toHaveLength(1);
    for (const side of [0, 1]) {
      const seen = seenBy(talk, pair, side);
      expect(JSON.stringify(seen)).not.toContain(others(side));
      expect(seen.texts).toEqual(owners.includes(side) ? ownWords(side, pair) : ['', '']);
      // Somebody else's conversation looks like one that does not exist.
      expect(seen.answers).toEqual(owners.includes(side) ? OWN : NONE);
    }
  }
}

const OWN = [200, undefined, 200, undefined, 200];
const NONE = [expect.any(Number), expect.stringMatching(/^(not_found|session_busy)$/), 404, 'not_found', 404];
const ownWords = (side: number, pair: number): string[] => [
  `Echo: My word is ${wordOf(side, pair)}`,
  `You told me: My word is ${wordOf(side, pair)}`,
];

function seenBy({ first, second, histories }: Talk, pair: number, side: number) {
  const [one, two, history] = [first[pair]?.[side], second[pair]?.[side], histories[pair]?.[side]];
  return {
    texts: [one?.text, two?.text],
    answers: [one?.status, one?.code, two?.status, two?.code, history?.status],
    history: history?.body,
  };
}

/** No conversation that an upstream knows holds words of both sides, and none has the name that the clients gave it. */
function expectUpstreamsApart(sessions: readonly string[]): void {
  const said = new Map<string, string>();
  for (const { chatId, sessionId, body } of platform.flowise.requests)
    for (const id of new Set([chatId, sessionId])) said.set(id, (said.get(id) ?? '') + JSON.stringify(body));
  for (const { index, body } of platform.openai.requests) said.set(`model ${index}`, JSON.stringify(body));
  for (const [id, words] of said) {
    expect(words.includes('amber') && words.includes('bronze')).toBe(false);
    expect(sessions).not.toContain(id);
  }
  expect(sessions.filter((id) => [...said.values()].some((words) => words.includes(id)))).toEqual([]);
}

describe('50 conversations that two sides name alike at the same time belong to one of them, in tokens, history and memory,', () => {
  it('when they are two users', async () => {
    const sides = await Promise.all([platform.user({ credits: 1_000_000 }), platform.user({ credits: 1_000_000 })]);
    const talk = await talkAtOnce(sides);
    expectApart(talk);
    expectUpstreamsApart(talk.sessions);
  });

  it('when they are one user in two workspaces', async () => {
    const user = await platform.user({ credits: 1_000_000 });
    const workspaces = [await found(platform.admin, 'Amber'), await found(platform.admin, 'Bronze')];
    for (const workspaceId of workspaces) await join(platform, workspaceId, user, 'enduser');
    const sides = [await user.in(workspaces[0] ?? ''), await user.in(workspaces[1] ?? '')];
    const talk = await talkAtOnce(sides);
    expectApart(talk);
    expectUpstreamsApart(talk.sessions);
  });
});
