import { ACCOUNTING_ROWS } from './accounting-rows.ts';
import { AUTH_ROWS } from './auth-rows.ts';
import { NEIGHBOUR_ROWS } from './neighbour-rows.ts';
import { PROXY_ROWS } from './proxy-rows.ts';
import { type Played, play } from './row.ts';
import type { Stage } from './stage.ts';

/** Two lanes: what auth's database and mail server suffer disturbs nobody who has a token already. */
export async function playAll(stage: Stage): Promise<Played[]> {
  const lanes = await Promise.all([
    play(stage, AUTH_ROWS, ['auth', 'authMongo', 'smtp']),
    play(stage, [...PROXY_ROWS, ...ACCOUNTING_ROWS], ['proxy', 'proxyMongo', 'postgres', 'accounting']),
  ]);
  return [...lanes.flat(), ...(await play(stage, NEIGHBOUR_ROWS, []))];
}
