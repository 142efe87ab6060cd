import type { ManualClock } from '@tollgate/test-kit';
import { generateSync } from 'otplib';
import { type Answer, type Auth, type LoggedIn, type Person } from '../auth.ts';

const STEP_MS = 30_000;

/** An authenticator app that has a secret. */
export type App = Readonly<{
  backupCodes: readonly string[];
  secret: string;
  /** The code that counts now, or `steps` later. */
  code(steps?: number): string;
}>;

export const appOf = (clock: ManualClock, secret: string, backupCodes: readonly string[] = []): App => ({
  secret,
  backupCodes,
  code: (steps = 0) => generateSync({ secret, epoch: Math.floor((clock.now() + steps * STEP_MS) / 1000) }),
});

export const stepUp = (auth: Auth, person: LoggedIn, code?: string): Promise<Answer> =>
  auth.post('/api/auth/step-up', { password: person.password, ...(code && { code }) }, { token: person.accessToken });

/** Sets up a second factor; a step later its first code is spent. */
export async function setUp(auth: Auth, clock: ManualClock, person: LoggedIn): Promise<App> {
  const token = person.accessToken;
  await stepUp(auth, person);
  const { body } = await auth.post('/api/mfa/totp/enrol', undefined, { token });
  const app = appOf(clock, body.secret);
  const confirmed = await auth.post('/api/mfa/totp/confirm', { code: app.code() }, { token });
  if (confirmed.status !== 200) throw new Error(`the second factor was not set up: ${confirmed.text}`);
  clock.advance(STEP_MS);
  return { ...app, backupCodes: confirmed.body.backupCodes };
}

/** The secret of a login that stops for the second factor. */
export async function challengeOf(auth: Auth, person: Person): Promise<string> {
  const { body } = await auth.logIn(person.username, person.password);
  if (!body.challenge) throw new Error(`no challenge: ${JSON.stringify(body)}`);
  return body.challenge;
}

export const verify = (auth: Auth, challenge: string, code: string): Promise<Answer> =>
  auth.post('/api/auth/mfa/verify', { challenge, code });
