import type { accounting, KeyLimits, ServerInput } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { actorOf, type Person, serviceActor } from '../domain/callers.ts';
import type { BlockBody, BlockKey, BillingBody, KeyLimitRows, LimitBody, OwnLimits, Page, Ports } from '../ports.ts';

type KeyLimitChange = ServerInput<typeof accounting.setKeyLimits>['body'];
type NewLimit = ServerInput<typeof accounting.createLimit>['body'];

/** Bounds what somebody may use beside the balance. */
export const createCreateLimit = ({ limits, events }: Pick<Ports, 'limits' | 'events'>) =>
  async function createLimit(caller: Person, limit: NewLimit): Promise<LimitBody> {
    const added = await limits.add(limit, actorOf(caller));
    if (added === 'taken') throw new AppError('CONFLICT', 'There is such a limit already; change its amount');
    events.ruled({ kind: 'limit_set', subject: added.id, actor: actorOf(caller) });
    return added;
  };

export const createListLimits = ({ limits }: Pick<Ports, 'limits'>) =>
  function listLimits(filter: Page & { scope?: string | undefined }) {
    return limits.list(filter);
  };

/** Changes the amount; what was used stays used. */
export const createChangeLimit = ({ limits, events }: Pick<Ports, 'limits' | 'events'>) =>
  async function changeLimit(caller: Person, id: string, amount: number): Promise<LimitBody> {
    const changed = await limits.change(id, amount, actorOf(caller));
    if (!changed) throw new AppError('NOT_FOUND');
    events.ruled({ kind: 'limit_set', subject: id, actor: actorOf(caller) });
    return changed;
  };

export const createEndLimit = ({ limits, events }: Pick<Ports, 'limits' | 'events'>) =>
  async function endLimit(caller: Person, id: string): Promise<LimitBody> {
    const ended = await limits.end(id, actorOf(caller));
    if (!ended) throw new AppError('NOT_FOUND');
    events.ruled({ kind: 'limit_ended', subject: id, actor: actorOf(caller) });
    return ended;
  };

export const createReadOwnLimits = ({ limits }: Pick<Ports, 'limits'>) =>
  function readOwnLimits({ userId, workspaceId, apiKey }: Person, model?: string): Promise<OwnLimits> {
    return limits.applying({ userId, workspaceId, model, apiKeyId: apiKey?.id });
  };

/** What auth says an API key is bounded by, as a whole: what is not named ends. */
export const createSetKeyLimits = ({ keyLimits, events }: Pick<Ports, 'keyLimits' | 'events'>) =>
  async function setKeyLimits(service: string, keyId: string, { revision, limits }: KeyLimitChange): Promise<void> {
    const actor = serviceActor(service);
    const outcome = await keyLimits.replace({ keyId, revision, limits: rowsOf(limits) }, actor);
    if (outcome === 'outdated') throw new AppError('CONFLICT', 'There are newer limits');
    if (outcome === 'taken') throw new AppError('CONFLICT', 'An administrator has set such a limit');
    events.ruled({ kind: 'limit_set', subject: keyId, actor });
  };

function rowsOf({ requestsPerMinute, tokensPerMinute, parallel, credits }: KeyLimits): KeyLimitRows {
  const rows = [
    { measure: 'requests', window: 'minute', amount: requestsPerMinute },
    { measure: 'tokens', window: 'minute', amount: tokensPerMinute },
    { measure: 'parallel', window: 'never', amount: parallel },
    { measure: 'credits', window: credits?.window ?? 'never', amount: credits?.amount },
  ] as const;
  return rows.flatMap(({ amount, ...row }) => (amount === undefined ? [] : [{ ...row, amount }]));
}

/** Who pays for a workspace, and what its pool holds. */
export const createReadBilling = ({ workspaces }: Pick<Ports, 'workspaces'>) =>
  function readBilling(workspaceId: string): Promise<BillingBody> {
    return workspaces.billing(workspaceId);
  };

/** Holds that are open keep their payer. */
export const createSetBilling = ({ workspaces, events }: Pick<Ports, 'workspaces' | 'events'>) =>
  async function setBilling(
    caller: Person,
    workspaceId: string,
    billing: BillingBody['billing'],
  ): Promise<BillingBody> {
    await workspaces.setBilling(workspaceId, billing, actorOf(caller));
    events.ruled({ kind: 'billing_set', subject: workspaceId, actor: actorOf(caller) });
    return workspaces.billing(workspaceId);
  };

/** Refuses new holds, and stops running answers at their next renewal. */
export const createBlock = ({ blocks, events }: Pick<Ports, 'blocks' | 'events'>) =>
  async function block(caller: Person, key: BlockKey, reason: string): Promise<BlockBody> {
    if (key.kind === 'user' && key.id === caller.userId) throw new AppError('OWN_ACCOUNT');
    const blocked = await blocks.add(key, reason, actorOf(caller));
    events.ruled({ kind: 'blocked', subject: key.id, actor: actorOf(caller) });
    return blocked;
  };

export const createUnblock = ({ blocks, events }: Pick<Ports, 'blocks' | 'events'>) =>
  async function unblock(caller: Person, key: BlockKey): Promise<BlockBody> {
    const lifted = await blocks.remove(key);
    if (!lifted) throw new AppError('NOT_FOUND');
    events.ruled({ kind: 'unblocked', subject: key.id, actor: actorOf(caller) });
    return lifted;
  };

export const createListBlocks = ({ blocks }: Pick<Ports, 'blocks'>) =>
  function listBlocks(page: Page) {
    return blocks.list(page);
  };
