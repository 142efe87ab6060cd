import type { Mongo } from '@tollgate/mongo-kit';
import type { mongo } from 'mongoose';
import type { ChainEnd, LineKeys } from '../../domain/audit-line.ts';
import type { BreachRule } from '../../domain/breach-rules.ts';
import type { AuditFilter, AuditLog, AuditPosition } from '../../ports/audit.ts';
import { createAppend, endOf } from './append-lines.ts';
import { AUDIT_COLLECTION, type AuditRow, idOf, lineOf, type Rows } from './audit-rows.ts';

/** The audit log: lines are added, never changed or removed; the role of the service may do nothing else (infra/mongo). */
export function createAuditLog(mongo: Mongo, keys: LineKeys): AuditLog {
  const rows = (): Rows => mongo.collection<AuditRow>(AUDIT_COLLECTION);
  return {
    append: createAppend(mongo, keys),
    async search(filter, { after, limit }) {
      const found = await rows()
        .find(filterOf(filter, after), { sort: { at: -1, chain: -1, seq: -1 }, limit })
        .toArray();
      return found.flatMap((row) => lineOf(row) ?? []);
    },
    async chains() {
      const names: unknown[] = await rows().distinct('chain');
      return names.filter((name) => typeof name === 'string').sort();
    },
    end: async (chain) => endOf(rows(), chain),
    async lines(chain, { from, limit }) {
      const found = await rows()
        .find({ chain, seq: { $gte: from } }, { sort: { seq: 1, _id: 1 }, limit })
        .toArray();
      return found.map((row) => ({ id: String(row._id), line: lineOf(row) }));
    },
    async strays(limit) {
      const found = await rows()
        .find(STRAY, { limit, projection: { _id: 1 } })
        .toArray();
      return found.map(({ _id }) => String(_id));
    },
    hashesAt: async (places) => endsAmong(rows(), places.map(idOf)),
    endsSince: async (since, limit) => endsSince(rows(), since, limit),
    breaches: async (rule, now) => breaches(rows(), rule, now),
  };
}

/** What the search of chains passes over: no chain, or a number that no chain has. */
const STRAY = {
  $or: [{ chain: { $not: { $type: 'string' } } }, { seq: { $not: { $gte: 1 } } }],
} as unknown as mongo.Filter<AuditRow>; // the types of the driver know only rows of ours

function filterOf(filter: AuditFilter, after: AuditPosition | undefined): mongo.Filter<AuditRow> {
  const { from, until, ...fields } = filter;
  const named = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  const at = { ...(from && { $gte: from }), ...(until && { $lt: until }) };
  return {
    ...named,
    ...((from ?? until) && { at }),
    ...(after && {
      $or: [
        { at: { $lt: after.at } },
        { at: after.at, chain: { $lt: after.chain } },
        { at: after.at, chain: after.chain, seq: { $lt: after.seq } },
      ],
    }),
  };
}

async function endsAmong(rows: Rows, ids: readonly string[]): Promise<ChainEnd[]> {
  const found = await rows.find({ _id: { $in: [...ids] } }, { projection: { chain: 1, seq: 1, hash: 1 } }).toArray();
  return found.map(({ chain, seq, hash }) => ({ chain, seq, hash }));
}

async function endsSince(rows: Rows, since: Date | undefined, limit: number): Promise<ChainEnd[]> {
  const grown = await rows
    .aggregate<{ _id: string; seq: number }>([
      ...(since ? [{ $match: { at: { $gte: since } } }] : []),
      { $group: { _id: '$chain', seq: { $max: '$seq' } } },
      { $sort: { _id: 1 } },
      { $limit: limit },
    ])
    .toArray();
  return endsAmong(
    rows,
    grown.map(({ _id, seq }) => idOf({ chain: _id, seq })),
  );
}

const MOST_BREACHES = 100;

async function breaches(rows: Rows, { action, by, distinct, sum, atLeast, windowMs }: BreachRule, now: Date) {
  const since = new Date(now.getTime() - windowMs);
  const counted = sum === undefined ? 1 : `$${sum}`;
  const groups = distinct
    ? [
        { $group: { _id: { about: `$${by}`, value: `$${distinct}` } } },
        { $group: { _id: '$_id.about', count: { $sum: 1 } } },
      ]
    : [{ $group: { _id: `$${by}`, count: { $sum: counted } } }];
  const found = await rows
    .aggregate<{ _id: string; count: number }>([
      { $match: { action, at: { $gt: since, $lte: now }, [by]: { $exists: true } } },
      ...groups,
      { $match: { count: { $gte: atLeast } } },
      { $sort: { count: -1 } },
      { $limit: MOST_BREACHES },
    ])
    .toArray();
  return found.map(({ _id, count }) => ({ about: _id, count }));
}
