import { auth } from '@tollgate/contracts';
import { reply, type Route, serve } from '@tollgate/http-kit';

/** A new key is published before it signs, so that nobody needs a fresher copy than this. */
const CACHE = 'public, max-age=300';

export const tokenKeyRoutes = (keySet: auth.TokenKeySet): Route[] => [
  serve(auth.readTokenKeys).with(() => reply(200, keySet, { headers: { 'cache-control': CACHE } })),
];
