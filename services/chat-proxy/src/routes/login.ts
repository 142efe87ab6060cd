import { chat } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { createLogIn } from '../flows/log-in.ts';

export const loginRoutes = (flows: ReturnType<typeof createLogIn>): Route[] => [
  serve(chat.authenticate).with(async ({ body }) => {
    const { accessToken, refreshToken, user } = await flows.logIn(body.username, body.password);
    // In this order: old clients take the first keys by position.
    return {
      access_token: accessToken,
      refresh_token: refreshToken,
      token_type: 'bearer' as const,
      user,
      message: 'Login successful',
      accessToken,
      refreshToken,
    };
  }),
  serve(chat.refresh).with(async ({ body }) => {
    const { accessToken, refreshToken } = await flows.refresh(body.refresh_token);
    return { access_token: accessToken, refresh_token: refreshToken, token_type: 'bearer' as const };
  }),
  serve(chat.revoke).with(async ({ body }, caller) => {
    await flows.revoke(caller, body.token_id);
    return { message: 'All sessions have been ended', revoked_tokens: 1 };
  }),
  serve(chat.readCurrentUser).with((_, caller) => flows.currentUser(caller.token)),
];
