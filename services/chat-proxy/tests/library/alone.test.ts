import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Mongo } from '@tollgate/mongo-kit';
import type { ChatflowId, SessionId } from '../../src/domain/wire-types.ts';
import type { SessionClaim } from '../../src/ports.ts';
import { sessionsIn } from '../../src/store/sessions.ts';
import { holdId } from '../fixtures/doubles.ts';
import { type Library, openLibrary, person } from '../fixtures/library-stage.ts';

const NOW = new Date('2030-01-01T00:00:00Z');
const LATER = new Date('2030-01-01T00:01:00Z');

let library: Library;
beforeAll(async () => {
  library = await openLibrary();
});
afterAll(() => library.mongo.close());

const opening = (): SessionClaim & { upstreamMemoryId: string } => ({
  id: randomUUID() as SessionId,
  owner: person(),
  chatflowId: 'flow' as ChatflowId,
  lease: { id: holdId(), until: LATER },
  now: NOW,
  forgetAt: LATER,
  upstreamMemoryId: randomUUID(),
});
const endOf = ({ id, upstreamMemoryId, lease }: ReturnType<typeof opening>) => ({
  id,
  upstreamMemoryId,
  leaseId: lease.id,
  discard: false,
});

describe('a conversation that begins or ends while no other does', () => {
  it('is written after what was sent in the same turn, for its hold takes longer than it does', async () => {
    let commands = 0;
    const collection: Mongo['collection'] = (name) => {
      commands += 1;
      return library.mongo.collection(name);
    };
    const opened = sessionsIn({ ...library.mongo, collection }, 'default').open(opening());
    // As undici does before it uses a connection again.
    await new Promise((resolve) => void setImmediate(resolve));
    expect(commands).toBe(0);
    await opened;
    expect(commands).toBe(1);
  });

  it('is refused when its id is taken, and the one that has it stays as it was', async () => {
    const sessions = sessionsIn(library.mongo, 'default');
    const [first, second] = [opening(), opening()];
    await sessions.open(first);
    await expect(sessions.open({ ...second, id: first.id })).rejects.toThrow();
    expect(await sessions.findAny(first.owner, first.id)).toMatchObject({ upstreamMemoryId: first.upstreamMemoryId });
    expect(await sessions.findAny(second.owner, first.id)).toBeUndefined();
  });

  it('is given back by the owner of its lease alone, and whoever gives back hears whether it is still there', async () => {
    const sessions = sessionsIn(library.mongo, 'default');
    const [mine, never] = [opening(), opening()];
    await sessions.open(mine);
    const claim = { ...mine, lease: { id: holdId(), until: LATER } };
    expect(await sessions.release({ ...endOf(mine), leaseId: holdId() })).toBe(true);
    expect(await sessions.claim(claim)).toBe('busy');
    expect(await sessions.release(endOf(never))).toBe(false);
    expect(await sessions.release({ ...endOf(mine), stored: { at: NOW, messages: 2 } })).toBe(true);
    expect(await sessions.claim(claim)).toMatchObject({ isNew: false, session: { messageCount: 2 } });
  });
});
