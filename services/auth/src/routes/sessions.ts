import { auth } from '@tollgate/contracts';
import { AppError, reply, type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import type { LoggedIn, LogInOutcome } from '../flows/sessions/continue-log-in.ts';
import {
  accessTokenOf,
  clearedCookies,
  type CookieRules,
  originOf,
  refreshCookie,
  refreshTokenOf,
  tokenCookies,
} from './origin.ts';
import { deviceCookie, deviceTokenOf } from './trusted-device.ts';
import { publicUser, sessionView } from './views.ts';

export const sessionRoutes = (flows: Flows, cookies: CookieRules): Route[] => [
  serve(auth.logIn).with(async ({ body }, _caller, context) => {
    const { username: identifier, password } = body;
    const deviceToken = deviceTokenOf(context, cookies);
    const request = { identifier, password, workspaceId: body.workspaceId, deviceToken };
    return logInAnswer(flows, await flows.logIn(request, originOf(context)), { cookies, deviceToken });
  }),
  serve(auth.selectWorkspace).with(async ({ body: { selectionToken, workspaceId } }, _caller, context) => {
    const done = await flows.selectWorkspace(selectionToken, workspaceId, originOf(context));
    return tokensAnswer(flows, done, { cookies, deviceToken: deviceTokenOf(context, cookies) });
  }),
  serve(auth.switchWorkspace).with(async ({ body: { workspaceId } }, caller, context) => {
    const done = await flows.switchWorkspace(caller, workspaceId, originOf(context));
    return tokensAnswer(flows, done, { cookies, deviceToken: deviceTokenOf(context, cookies) });
  }),
  serve(auth.refreshSession).with(async ({ body }, _caller, context) => {
    const cookie = refreshCookie(context, cookies);
    const proof = { token: cookie ?? body.refreshToken, isCookie: cookie !== undefined };
    const pair = await flows.refreshSession(proof, originOf(context));
    const { accessToken, refreshToken } = pair;
    const answer = { message: 'Token refreshed successfully', accessToken, refreshToken };
    return reply(200, answer, { cookies: tokenCookies(pair, cookies) });
  }),
  serve(auth.logOut).with(async ({ body }, _caller, context) => {
    const refreshToken = body.refreshToken ?? refreshTokenOf(context, cookies);
    const proofs = { refreshToken, accessToken: accessTokenOf(context, cookies) };
    await flows.logOut(proofs, originOf(context));
    return reply(200, { message: 'Logout successful' }, { cookies: clearedCookies(cookies) });
  }),
  serve(auth.logOutAll).with(async (_input, caller, context) => {
    await flows.logOutAll(caller, caller.userId, originOf(context));
    return reply(200, { message: 'Logged out from all devices' }, { cookies: clearedCookies(cookies) });
  }),
  serve(auth.listOwnSessions).with(async (_input, caller) => ({
    sessions: (await flows.listSessions(caller)).map((session) => sessionView(session, caller.sessionId)),
  })),
  serve(auth.endOwnSession).with(async ({ params }, caller, context) => {
    await flows.endSession(caller, params.id, originOf(context));
    const cleared = params.id === caller.sessionId ? clearedCookies(cookies) : [];
    return reply(200, { message: 'Session ended' }, { cookies: cleared });
  }),
];

type Browser = Readonly<{ cookies: CookieRules; deviceToken: string | undefined }>;

/** Tokens for whoever has proven everything; a challenge for whoever still owes something. */
export function logInAnswer(flows: Flows, outcome: LogInOutcome, { cookies, deviceToken }: Browser) {
  if (outcome.kind === 'enrolment')
    throw new AppError('MFA_ENROLMENT_REQUIRED', undefined, { extra: { challenge: outcome.challenge } });
  if (outcome.kind === 'second-factor') {
    const { challenge } = outcome;
    return reply(200, { message: 'Second factor required', mfaRequired: true as const, challenge });
  }
  if (outcome.kind === 'workspace') {
    const { workspaces, selectionToken } = outcome;
    return reply(300, { message: 'Choose a workspace', workspaces, selectionToken });
  }
  return tokensAnswer(flows, outcome, { cookies, deviceToken });
}

function tokensAnswer(flows: Flows, { user, kind: _done, ...pair }: LoggedIn, { cookies, deviceToken }: Browser) {
  const { accessToken, refreshToken } = pair;
  const answer = { message: 'Login successful', accessToken, refreshToken, user: publicUser(user) };
  const device = deviceCookie(flows.trustDevice(user.id, deviceToken), cookies);
  return reply(200, answer, { cookies: [...tokenCookies(pair, cookies), device] });
}
