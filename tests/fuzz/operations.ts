import type { Platform } from '@tollgate/test-kit';
import fc from 'fast-check';
import type { Door } from './requests/doors.ts';
import { type FuzzRequest, requestsTo } from './requests/requests.ts';
import { type Callers, createCallers, URL_NAMES } from './stage/callers.ts';
import { faultsOf } from './stage/judge.ts';
import { send } from './stage/send.ts';
import { knownValues } from './stage/vocabulary.ts';
import { differences, openState, type StoredState } from './state/snapshot.ts';

export interface FuzzOptions {
  readonly seed: number;
  /** Requests to each operation, of either kind. */
  readonly broken: number;
  readonly valid: number;
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
}

const AT_ONCE = 8;
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
    byStatus: {},
  };
  try {
    // What one service refuses from then on must not hide the others: limits and blocks are made last.
    for (const door of doors.toSorted((a, b) => ORDER.indexOf(a.service) - ORDER.indexOf(b.service))) {
      options.progress?.(`${door.service} ${door.operation.id}`);
      await fuzzDoor(stage, door, options);
    }
  } finally {
    await state.close();
  }
  const sent = Object.values(stage.byStatus).reduce((sum, count) => sum + count, 0);
  return { sent, byStatus: stage.byStatus, found: distinct(stage.found) };
}

interface Stage {
  readonly platform: Platform;
  readonly callers: Callers;
  readonly state: StoredState;
  readonly known: Readonly<Record<string, readonly unknown[]>>;
  readonly found: Found[];
  readonly byStatus: Record<number, number>;
}

async function fuzzDoor(stage: Stage, door: Door, options: FuzzOptions): Promise<void> {
  const draw = (share: { valid: number; broken: number }, numRuns: number): FuzzRequest[] =>
    fc.sample(requestsTo(door, stage.known, share), { seed: options.seed, numRuns });
  const requests = [...draw({ valid: 0, broken: 1 }, options.broken), ...draw({ valid: 1, broken: 0 }, options.valid)];
  await askAll(stage, requests.filter(isSurvivable));
  await stage.callers.revive();
}

/** What would end the platform under test instead of telling something about it. */
const isSurvivable = ({ door, caller, fault }: FuzzRequest): boolean =>
  door.operation.id !== 'deleteUsers' || fault !== undefined || (caller !== 'admin' && caller !== 'API key');

/** Sends all, and then again what was refused: none of that may have changed anything. */
async function askAll(stage: Stage, requests: readonly FuzzRequest[]): Promise<void> {
  const refused: FuzzRequest[] = [];
  for (let at = 0; at < requests.length; at += AT_ONCE) {
    const batch = requests.slice(at, at + AT_ONCE);
    const before = await stage.state.take();
    const statuses = await Promise.all(batch.map((request) => ask(stage, request)));
    const isPure = statuses.every((status) => status >= 400);
    if (!isPure) {
      refused.push(...batch.filter((_, index) => (statuses[index] ?? 0) >= 400));
      continue;
    }
    await blame(stage, batch, before);
  }
  const before = await stage.state.take();
  for (const request of refused) await ask(stage, request);
  if (refused.length > 0) await blame(stage, refused, before);
}

async function blame(
  stage: Stage,
  batch: readonly FuzzRequest[],
  before: Awaited<ReturnType<StoredState['take']>>,
): Promise<void> {
  const changed = differences(before, await stage.state.take());
  if (changed.length === 0) return;
  if (batch.length === 1) {
    note(stage, batch, `a refusal changed ${changed.join('; ')}`);
    return;
  }
  let hasCulprit = false;
  for (const request of batch) {
    const then = await stage.state.take();
    const status = await ask(stage, request);
    const now = differences(then, await stage.state.take());
    if (now.length === 0 || status < 400) continue;
    hasCulprit = true;
    note(stage, [request], `a refusal changed ${now.join('; ')}`);
  }
  if (!hasCulprit) note(stage, batch, `a refusal changed, once, ${changed.join('; ')}`);
}

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
    note(stage, [request], `no answer: ${answer}`);
    return 0;
  }
  stage.byStatus[answer.status] = (stage.byStatus[answer.status] ?? 0) + 1;
  for (const what of faultsOf(request, answer)) note(stage, [request], `${what} (${answer.status})`, answer.text);
  return answer.status;
}

function note({ found }: Stage, requests: readonly FuzzRequest[], what: string, answer = ''): void {
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
