import type { Context } from '../stage/context.ts';
import { ourParts } from '../stage/world.ts';
import {
  callsOf,
  inTurns,
  ourCall,
  type Shape,
  upstreamCall,
  viaPortkey,
  viaThreeCalls,
  type Wire,
} from './columns.ts';
import { overHttp } from './drive.ts';
import type { Column } from './rounds.ts';

/** The pass-through, and ours for many accounts and for one. */
export type ChatColumns = Readonly<Record<'floor' | 'many' | 'hot', Column>>;

export async function chatColumns(context: Context, wire: Wire, shape: Shape): Promise<ChatColumns> {
  const world = await context.world();
  const payers = await context.payers();
  const make = (token: string) => ourCall(world, wire, { shape, token });
  const parts = ourParts(world);
  const named = (name: string) => `${name}, ${shape}, ${wire}`;
  return {
    floor: {
      name: named('pass-through'),
      open: overHttp(inTurns([upstreamCall(world.floor.url, wire, { shape })])),
      parts: [{ name: 'pass-through', pids: [world.floor.pid] }],
    },
    many: { name: named('Tollgate, many accounts'), open: overHttp(callsOf(payers, make)), parts },
    hot: { name: named('Tollgate, one hot account'), open: overHttp(callsOf(payers.slice(0, 1), make)), parts },
  };
}

/** The flow of the service document, in Flowise's wire. */
export async function threeCallsColumn(context: Context, shape: Shape): Promise<Column> {
  const { proxy, accounting } = await context.threeCalls();
  const { databases } = await context.world();
  return {
    name: `three calls with an ORM, ${shape}`,
    open: overHttp(callsOf(await context.payers(), (token) => viaThreeCalls(proxy.url, shape, token))),
    parts: [
      { name: 'proxy', pids: [proxy.pid] },
      { name: 'accounting', pids: [accounting.pid] },
      { name: 'PostgreSQL', pids: databases.postgres.pids },
    ],
  };
}

/** Portkey's gateway, in OpenAI's wire. */
export async function portkeyColumn(context: Context, shape: Shape): Promise<Column> {
  const { upstream } = await context.world();
  const gateway = await context.portkey();
  return {
    name: `Portkey, ${shape}`,
    open: overHttp(inTurns([viaPortkey(gateway.url, upstream.url, shape)])),
    parts: [{ name: 'gateway', pids: [gateway.pid] }],
  };
}
