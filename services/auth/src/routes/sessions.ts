import { auth } from '@tollgate/contracts';
import { reply, type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import type { LoggedIn } from '../flows/sessions/continue-log-in.ts';
import {
  accessTokenOf,
  clearedCookies,
  type CookieRules,
  originOf,
  refreshCookie,
  refreshTokenOf,
  tokenCookies,
} from './origin.ts';
import { publicUser, sessionView } from './views.ts';

export const sessionRoutes = (flows: Flows, cookies: CookieRules): Route[] => [
  serve(auth.logIn).with(async ({ body }, _caller, context) => {
    const { username: identifier, password } = body;
    const { workspaceId } = body;
    const outcome = await flows.logIn({ identifier, password, workspaceId }, originOf(context));
    if (outcome.kind === 'done') return loggedIn(outcome, cookies);
    const { workspaces, selectionToken } = outcome;
    return reply(300, { message: 'Choose a workspace', workspaces, selectionToken });
  }),
  serve(auth.selectWorkspace).with(async ({ body: { selectionToken, workspaceId } }, _caller, context) =>
    loggedIn(await flows.selectWorkspace(selectionToken, workspaceId, originOf(context)), cookies),
  ),
  serve(auth.switchWorkspace).with(async ({ body: { workspaceId } }, caller, context) =>
    loggedIn(await flows.switchWorkspace(caller, workspaceId, originOf(context)), cookies),
  ),
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

/** Tokens for whoever has proven everything. */
function loggedIn({ user, ...pair }: LoggedIn, cookies: CookieRules) {
  const { accessToken, refreshToken } = pair;
  const answer = { message: 'Login successful', accessToken, refreshToken, user: publicUser(user) };
  return reply(200, answer, { cookies: tokenCookies(pair, cookies) });
}
