import type { Connection } from 'mongoose';
import type { KeyUse } from '../ports/second-factors.ts';

/** Which keys stored secrets are still made with. */
export const createKeyUse = (connection: Connection): KeyUse => ({
  async peppers() {
    // `v1.<key id>$2b$…`: what stands before the first dollar.
    const maker = { $arrayElemAt: [{ $split: ['$passwordHash', '$'] }, 0] };
    const found = await connection
      .collection('users')
      .aggregate<{ _id: string; accounts: number }>([
        { $match: { status: { $ne: 'deleted' } } },
        { $group: { _id: maker, accounts: { $sum: 1 } } },
        { $sort: { _id: 1 } },
      ])
      .toArray();
    return found.map(({ _id, accounts }) => ({ kid: _id.slice('v1.'.length), accounts }));
  },
});
