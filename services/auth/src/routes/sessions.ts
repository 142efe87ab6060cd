import { auth } from '@tollgate/contracts';
import { reply, type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import type { LoggedIn } from '../flows/sessions/continue-log-in.ts';
import { accessTokenOf, clearedCookies, type CookieRules, originOf, refreshCookie, tokenCookies } from './origin.ts';
import { publicUser } from './views.ts';

export const sessionRoutes = (flows: Flows, cookies: CookieRules): Route[] => [
  serve(auth.logIn).with(async ({ body }, _caller, context) => {
    const { username: identifier, password } = body;
    const { workspaceId } = body;
    const outcome = await flows.logIn({ identifier, password, workspaceId }, originOf(context));
    if (outcome.kind === 'done') return loggedIn(outcome, cookies);
    const { workspaces, selectionToken } = outcome;
    return reply(300, { message: 'Choose a workspace', workspaces: [...workspaces], selectionToken });
  }),
  serve(auth.selectWorkspace).with(async ({ body: { selectionToken, workspaceId } }, _caller, context) =>
    loggedIn(await flows.selectWorkspace(selectionToken, workspaceId, originOf(context)), cookies),
  ),
  serve(auth.switchWorkspace).with(async ({ body: { workspaceId } }, caller, context) =>
    loggedIn(await flows.switchWorkspace(caller, workspaceId, originOf(context)), cookies),
  ),
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

/** Tokens for whoever has proven everything. */
function loggedIn({ user, accessToken, refreshToken }: LoggedIn, cookies: CookieRules) {
  const pair = { accessToken, refreshToken };
  const answer = { message: 'Login successful', ...pair, user: publicUser(user) };
  return reply(200, answer, { cookies: tokenCookies(pair, cookies) });
}
