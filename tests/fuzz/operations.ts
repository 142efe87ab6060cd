import type { Platform } from '@tollgate/test-kit';
import fc from 'fast-check';
import type { Door } from './requests/doors.ts';
import { type FuzzRequest, requestsTo } from './requests/requests.ts';
import { type Callers, createCallers, URL_NAMES } from './stage/callers.ts';
import { faultsOf } from './stage/judge.ts';
import { send } from './stage/send.ts';
import { knownValues } from './stage/vocabulary.ts';
import { differences, openState, type Snapshot, type StoredState } from './state/snapshot.ts';

export interface FuzzOptions {
  readonly seed: number;
  /** Requests to each operation, of either kind. */
  readonly broken: number;
  readonly valid: number;
  /** Operations between two looks at what is stored. */
  readonly doorsAtOnce: number;
  readonly progress?: (text: string) => void;
}

export interface Found {
  readonly operation: string;
  readonly what: string;
  /** To be sent again by hand. */
  readonly example: string;
}

export interface FuzzResult {
  readonly sent: number;
  readonly byStatus: Readonly<Record<number, number>>;
  readonly found: readonly Found[];
  /** Changes that did not come again; for a person to look at. */
  readonly seenOnce: readonly Found[];
  /** Refused requests whose first try stood alone, and such that were sent beside one that was carried out. */
  readonly firstTries: { readonly judged: number; readonly beside: number };
}

const AT_ONCE = 8;
/** Between two looks at what is stored. */
const FIRST_AT_ONCE = 16;
const REFUSED = 400;
const ORDER = ['chat-proxy', 'auth', 'accounting'];

/** Asks every operation what it must refuse and what it may answer, and looks at the answers and at what is stored. */
export async function fuzzOperations(
  platform: Platform,
  doors: readonly Door[],
  options: FuzzOptions,
): Promise<FuzzResult> {
  const callers = await createCallers(platform);
  const state = await openState(platform);
  const stage: Stage = {
    platform,
    callers,
    state,
    known: await knownValues(platform, callers),
    found: [],
    seenOnce: [],
    byStatus: {},
    firstTries: { judged: 0, beside: 0 },
  };
  try {
    // What one service refuses from then on must not hide the others: limits and blocks are made last.
    const inOrder = doors.toSorted((a, b) => ORDER.indexOf(a.service) - ORDER.indexOf(b.service));
    for (let at = 0; at < inOrder.length; at += options.doorsAtOnce) {
      const some = inOrder.slice(at, at + options.doorsAtOnce);
      options.progress?.(some.map(({ service, operation }) => `${service} ${operation.id}`).join(', '));
      await fuzzDoors(stage, some, options);
    }
  } finally {
    await state.close();
  }
  const sent = Object.values(stage.byStatus).reduce((sum, count) => sum + count, 0);
  const { byStatus, firstTries, found, seenOnce } = stage;
  return { sent, byStatus, firstTries, found: distinct(found), seenOnce: distinct(seenOnce) };
}

interface Stage {
  readonly platform: Platform;
  readonly callers: Callers;
  readonly state: StoredState;
  readonly known: Readonly<Record<string, readonly unknown[]>>;
  readonly found: Found[];
  readonly seenOnce: Found[];
  readonly byStatus: Record<number, number>;
  readonly firstTries: { judged: number; beside: number };
}

async function fuzzDoors(stage: Stage, doors: readonly Door[], options: FuzzOptions): Promise<void> {
  const draw = (door: Door, share: { valid: number; broken: number }, numRuns: number): FuzzRequest[] =>
    fc.sample(requestsTo(door, stage.known, share), { seed: options.seed, numRuns });
  const broken = doors.flatMap((door) => draw(door, { valid: 0, broken: 1 }, options.broken));
  const valid = doors.flatMap((door) => draw(door, { valid: 1, broken: 0 }, options.valid));
  // What the contract itself refuses comes first, because what may be carried out hides what refusals beside it do.
  const inOrder = [
    ...broken.filter(({ fault }) => fault !== undefined),
    ...broken.filter(({ fault }) => fault === undefined),
  ];
  const refused = await askFirst(stage, inOrder.filter(isSurvivable));
  await askAgain(stage, [...refused, ...(await refusedOf(stage, valid.filter(isSurvivable)))]);
  await stage.callers.revive();
}

/** What would end the platform under test instead of telling something about it. */
const isSurvivable = ({ door, caller, fault }: FuzzRequest): boolean =>
  door.operation.id !== 'deleteUsers' || fault !== undefined || (caller !== 'admin' && caller !== 'API key');

const QUIET_LOOKS = 40;

/** What earlier requests have begun, such as a letter, is done with. A wait that ends: what still moves is told once. */
async function untilQuiet({ state }: Stage): Promise<Snapshot> {
  let before = await state.take();
  for (let looks = 0; looks < QUIET_LOOKS; looks += 1) {
    const after = await state.take();
    if (differences(before, after).length === 0) return after;
    before = after;
  }
  return before;
}

/** The first time, when nothing that they make is there yet. A few at once; they are judged where nothing beside them was carried out. */
async function askFirst(stage: Stage, requests: readonly FuzzRequest[]): Promise<FuzzRequest[]> {
  const refused: FuzzRequest[] = [];
  let before = await untilQuiet(stage);
  for (let at = 0; at < requests.length; at += FIRST_AT_ONCE) {
    const some = requests.slice(at, at + FIRST_AT_ONCE);
    const statuses = await askTogether(stage, some);
    const after = await stage.state.take();
    const these = some.filter((_, place) => (statuses[place] ?? 0) >= REFUSED);
    const isAlone = some.every(
      ({ door }, place) => door.operation.method === 'GET' || (statuses[place] ?? 0) >= REFUSED,
    );
    stage.firstTries[isAlone ? 'judged' : 'beside'] += these.length;
    const changed = isAlone ? differences(before, after) : [];
    if (changed.length > 0) note(stage.found, these, `a refusal changed ${changed.join('; ')} at the first try`);
    refused.push(...these);
    before = isAlone ? after : await untilQuiet(stage);
  }
  return refused;
}

async function refusedOf(stage: Stage, requests: readonly FuzzRequest[]): Promise<FuzzRequest[]> {
  const statuses = await askTogether(stage, requests);
  return requests.filter((_, at) => (statuses[at] ?? 0) >= REFUSED);
}

/** What was refused, once more: what only one of them changes is found by halves. */
async function askAgain(stage: Stage, refused: readonly FuzzRequest[]): Promise<void> {
  if (refused.length > 0) await blame(stage, refused);
}

/** Halves what is to blame until one refusal is left; what it changes twice is its doing, what it changes once may be the platform's. */
async function blame(stage: Stage, refused: readonly FuzzRequest[]): Promise<void> {
  const { changed } = await changesBy(stage, refused);
  if (changed.length === 0) return;
  if (refused.length > 1) {
    const middle = Math.ceil(refused.length / 2);
    await blame(stage, refused.slice(0, middle));
    await blame(stage, refused.slice(middle));
    return;
  }
  const second = await changesBy(stage, refused);
  const again = changed.filter((one) => second.changed.some((other) => placeIn(one) === placeIn(other)));
  if (second.isRefused && again.length > 0) note(stage.found, refused, `a refusal changed ${again.join('; ')}`);
  else note(stage.seenOnce, refused, `changed once, beside a refusal: ${changed.join('; ')}`);
}

async function changesBy(stage: Stage, requests: readonly FuzzRequest[]) {
  const before = await stage.state.take();
  const statuses = await askTogether(stage, requests);
  const changed = differences(before, await stage.state.take());
  return { changed, isRefused: statuses.every((status) => status >= REFUSED) };
}

async function askTogether(stage: Stage, requests: readonly FuzzRequest[]): Promise<number[]> {
  const statuses: number[] = [];
  for (let at = 0; at < requests.length; at += AT_ONCE)
    statuses.push(...(await Promise.all(requests.slice(at, at + AT_ONCE).map((request) => ask(stage, request)))));
  return statuses;
}

const placeIn = (difference: string): string => difference.split(':', 1)[0] ?? '';

async function ask(stage: Stage, request: FuzzRequest): Promise<number> {
  const { door, caller, path, headers, body } = request;
  const credentials = await stage.callers.headers(caller, door.service);
  const url = stage.platform.urls[URL_NAMES[door.service]];
  const answer = await send(url, {
    method: door.operation.method,
    path,
    headers: { ...credentials, ...headers },
    body,
  }).catch((error: unknown) => String(error));
  if (typeof answer === 'string') {
    note(stage.found, [request], `no answer: ${answer}`);
    return 0;
  }
  stage.byStatus[answer.status] = (stage.byStatus[answer.status] ?? 0) + 1;
  for (const what of faultsOf(request, answer)) note(stage.found, [request], `${what} (${answer.status})`, answer.text);
  return answer.status;
}

function note(found: Found[], requests: readonly FuzzRequest[], what: string, answer = ''): void {
  const [request] = requests;
  if (!request) return;
  const operation = `${request.door.service} ${request.door.operation.id}`;
  found.push({
    operation,
    what,
    example: `${requests.map(asText).join('\n').slice(0, 1500)}${answer && ` => ${answer.slice(0, 300)}`}`,
  });
}

const asText = ({ door, caller, path, headers, body }: FuzzRequest): string =>
  `${caller}: ${door.operation.method} ${path.slice(0, 300)} ${JSON.stringify(headers).slice(0, 300)} ${Buffer.from(
    body ?? [],
  )
    .toString('latin1')
    .slice(0, 400)}`;

/** One example of each fault of each operation. */
const distinct = (found: readonly Found[]): Found[] => [
  ...new Map(found.toReversed().map((one) => [`${one.operation} ${one.what.slice(0, 80)}`, one])).values(),
];
