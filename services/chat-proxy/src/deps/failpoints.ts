import { createFailpoints, type Failpoints } from '@tollgate/http-kit/failpoints';
import type { HoldId, UserId } from '../domain/wire-types.ts';
import type { Accounting, UpstreamServer } from '../ports.ts';
import type { Stores } from './store.ts';
import type { Upstreams } from './upstream.ts';

/** Parts of an answer that have gone out at s5. */
const PARTS_AT_S5 = 20;

/** What the flows are given in place of the ports: the same ports, unless a test has named a file of failpoints. */
export interface Tampering {
  stores(stores: Stores): Stores;
  accounting<Client extends Accounting>(accounting: Client): Client;
  upstreams(upstreams: Upstreams): Upstreams;
}

const UNTOUCHED: Tampering = {
  stores: (stores) => stores,
  accounting: (accounting) => accounting,
  upstreams: (upstreams) => upstreams,
};

/** The steps of the kill matrix (acceptance.md, C.2) as places between the flows and their ports. */
export function createTampering(file: string | undefined): Tampering {
  if (file === undefined) return UNTOUCHED;
  const points = createFailpoints(file);
  const users = new Map<HoldId, UserId>();
  const ofHold = (holdId: HoldId): string => users.get(holdId) ?? '';
  return {
    stores: (stores) => storesWith(stores, points, ofHold),
    accounting: (accounting) => ({
      ...accounting,
      async hold(asker, request) {
        users.set(request.holdId, asker.userId);
        await points.reach('s1', asker.userId);
        return accounting.hold(asker, request);
      },
      async end(holdId, userId, ending) {
        await points.reach('s6', userId);
        const closed = await accounting.end(holdId, userId, ending);
        await points.reach('s7', userId);
        return closed;
      },
    }),
    upstreams: (upstreams) => ({
      ...upstreams,
      servers: new Map([...upstreams.servers].map(([name, server]) => [name, serverWith(server, points, ofHold)])),
    }),
  };
}

type Whose = (holdId: HoldId) => string;

function storesWith(stores: Stores, points: Failpoints, ofHold: Whose): Stores {
  const { chatflows, sessions, journal, messages } = stores;
  return {
    ...stores,
    chatflows: {
      ...chatflows,
      async findFor(caller, id) {
        await points.reach('s0', caller.userId);
        return chatflows.findFor(caller, id);
      },
    },
    sessions: {
      ...sessions,
      async open(opening) {
        await sessions.open(opening);
        await points.reach('s0.claimed', opening.owner.userId);
      },
      async claim(claim) {
        const claimed = await sessions.claim(claim);
        await points.reach('s0.claimed', claim.owner.userId);
        return claimed;
      },
      async release(release) {
        const isThere = await sessions.release(release);
        await points.reach('s9', ofHold(release.leaseId));
        return isThere;
      },
    },
    journal: {
      ...journal,
      async open(hold, leaseUntil) {
        await points.reach('s2', hold.userId);
        return journal.open(hold, leaseUntil);
      },
    },
    messages: {
      ...messages,
      async save(saved) {
        await points.reach('s8', saved[0]?.userId ?? '');
        return messages.save(saved);
      },
    },
  };
}

const serverWith = <Server extends UpstreamServer>(server: Server, points: Failpoints, ofHold: Whose): Server => ({
  ...server,
  async *answer(chatflow, prompt, maxOutput, signal) {
    const whose = ofHold(prompt.requestId);
    await points.reach('s3', whose);
    let given = 0;
    for await (const parts of server.answer(chatflow, prompt, maxOutput, signal)) {
      if (given === 0) await points.reach('s4', whose);
      const before = parts.slice(0, Math.max(0, PARTS_AT_S5 - given));
      const isThere = given <= PARTS_AT_S5 && given + parts.length > PARTS_AT_S5;
      given += parts.length;
      if (before.length > 0) yield before;
      if (isThere) await points.reach('s5', whose);
      if (before.length < parts.length) yield parts.slice(before.length);
    }
  },
});
