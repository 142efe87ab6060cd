import type { Person } from '@tollgate/test-kit';
import { type Call, callOnce, callUntilDefinite } from './calls.ts';
import { endingOf } from './money.ts';
import type { Outcome } from './outcome.ts';
import type { Refresh } from './schedule.ts';
import type { Stage } from './stage.ts';

const busy = new WeakMap<Person, Promise<unknown>>();

/** A client renews its tokens, and repeats that within the grace when the answer was lost. One at a time for each session. */
export async function refresh(stage: Stage, { id, session }: Refresh): Promise<Outcome> {
  const person = stage.sessions[session];
  if (!person) throw new RangeError('the schedule names a session that is not there');
  const turn = (busy.get(person) ?? Promise.resolve()).then(() => renew(stage, person, id));
  busy.set(
    person,
    turn.catch(() => undefined),
  );
  return turn;
}

async function renew({ fleet }: Stage, person: Person, id: number): Promise<Outcome> {
  const call: Call = {
    method: 'POST',
    url: `${fleet.urls.auth}/api/auth/refresh`,
    token: person.accessToken,
    body: { refreshToken: person.refreshToken },
  };
  const { last } = await callUntilDefinite(() => callOnce(call));
  const isRenewed = last.kind === 'answer' && last.status === 200;
  if (isRenewed) {
    person.accessToken = String(last.body.accessToken);
    person.refreshToken = String(last.body.refreshToken);
  }
  const isLost = last.kind === 'answer' && last.status === 401;
  return {
    id,
    verdict: 'maybe',
    told: isRenewed ? 1 : 0,
    isHung: last.kind === 'hung',
    ending: endingOf(last),
    requestIds: [],
    wrong: isLost ? ['lost its session, although it repeated its refresh within the grace'] : [],
  };
}
