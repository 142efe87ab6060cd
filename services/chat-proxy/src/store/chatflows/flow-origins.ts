import type { Mongo } from '@tollgate/mongo-kit';
import { LRUCache } from 'lru-cache';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { FlowOrigins } from '../../ports.ts';

interface Row {
  readonly _id: ChatflowId;
  readonly sync_status: string;
  readonly allowed_origins: string[];
}

const MOST_REMEMBERED = 10_000;

/** Asked before every request of a page that the service itself does not list, so that answers are remembered for a moment. */
export function flowOriginsIn(mongo: Mongo, { freshMs }: { readonly freshMs: number }): FlowOrigins {
  const rows = () => mongo.collection<Row>('chatflows');
  const remembered = new LRUCache<string, boolean>({ max: MOST_REMEMBERED, ttl: Math.max(1, freshMs) });

  async function isThere(name: string, filter: Readonly<Record<string, unknown>>): Promise<boolean> {
    const known = remembered.get(name);
    if (known !== undefined) return known;
    const active = { ...filter, sync_status: 'active' };
    const found = await mongo.run(async () => (await rows().findOne(active, { projection: { _id: 1 } })) !== null);
    remembered.set(name, found);
    return found;
  }

  return {
    allows: (id, origin) => isThere(`${id} ${origin}`, { _id: id, allowed_origins: origin }),
    isKnown: (origin) => isThere(origin, { allowed_origins: origin }),
  };
}
