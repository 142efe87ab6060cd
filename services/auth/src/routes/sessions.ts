import { auth } from '@tollgate/contracts';
import { AppError, reply, type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import type { LogInOutcome } from '../flows/sessions/continue-log-in.ts';
import { accessTokenOf, clearedCookies, type CookieRules, originOf, refreshCookie, tokenCookies } from './origin.ts';
import { deviceCookie, deviceTokenOf } from './trusted-device.ts';
import { publicUser } from './views.ts';

export const sessionRoutes = (flows: Flows, cookies: CookieRules): Route[] => [
  serve(auth.logIn).with(async ({ body }, _caller, context) => {
    const { username: identifier, password } = body;
    const deviceToken = deviceTokenOf(context);
    const outcome = await flows.logIn({ identifier, password, deviceToken }, originOf(context));
    return logInAnswer(flows, outcome, { cookies, deviceToken });
  }),
  serve(auth.refreshSession).with(async ({ body }, _caller, context) => {
    const token = refreshCookie(context, cookies) ?? body.refreshToken;
    const pair = await flows.refreshSession(token, originOf(context));
    return reply(200, { message: 'Token refreshed successfully', ...pair }, { cookies: tokenCookies(pair, cookies) });
  }),
  serve(auth.logOut).with(async ({ body }, _caller, context) => {
    const proofs = { refreshToken: body.refreshToken, accessToken: accessTokenOf(context, cookies) };
    await flows.logOut(proofs, originOf(context));
    return reply(200, { message: 'Logout successful' }, { cookies: clearedCookies(cookies) });
  }),
  serve(auth.logOutAll).with(async (_input, caller, context) => {
    await flows.logOutAll(caller.userId, originOf(context));
    return reply(200, { message: 'Logged out from all devices' }, { cookies: clearedCookies(cookies) });
  }),
];

/** Tokens for whoever has proven everything; a challenge for whoever still owes something. */
export function logInAnswer(
  flows: Flows,
  outcome: LogInOutcome,
  { cookies, deviceToken }: { cookies: CookieRules; deviceToken: string | undefined },
) {
  if (outcome.kind === 'enrolment')
    throw new AppError('MFA_ENROLMENT_REQUIRED', undefined, { extra: { challenge: outcome.challenge } });
  if (outcome.kind === 'second-factor') {
    const { challenge } = outcome;
    return reply(200, { message: 'Second factor required', mfaRequired: true as const, challenge });
  }
  const { user, accessToken, refreshToken } = outcome;
  const pair = { accessToken, refreshToken };
  const answer = { message: 'Login successful', ...pair, user: publicUser(user) };
  const device = deviceCookie(flows.trustDevice(user.id, deviceToken), cookies);
  return reply(200, answer, { cookies: [...tokenCookies(pair, cookies), device] });
}
