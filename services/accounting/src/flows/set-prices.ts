import type { accounting, ServerInput } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { actorOf, type Person } from '../domain/callers.ts';
import type { Ports, PriceFilter, PriceRule } from '../ports.ts';

type NewRule = ServerInput<typeof accounting.createPrice>['body'];
type Deps = Pick<Ports, 'prices' | 'events'>;

/** Adds the next version of a price; holds that are open keep theirs. */
export const createSetPrice = ({ prices, events }: Deps) =>
  async function setPrice(caller: Person, rule: NewRule): Promise<PriceRule> {
    const actor = actorOf(caller);
    const added = await prices.add({ ...rule, createdBy: actor });
    if (added === 'past') throw new AppError('INVALID_PRICE', 'validFrom must not be in the past');
    events.priceAdded({ ruleId: added.ruleId, version: added.version, actor });
    return added;
  };

export const createListPrices = ({ prices }: Pick<Ports, 'prices'>) =>
  function listPrices(filter: PriceFilter): Promise<PriceRule[]> {
    return prices.list(filter);
  };

export const createReadPriceGroup = ({ prices }: Pick<Ports, 'prices'>) =>
  async function readPriceGroup(userId: string) {
    const group = await prices.group(userId);
    if (group === undefined) throw new AppError('NOT_FOUND');
    return { userId, group };
  };

/** Gives an account the prices of a group, or with null those of everybody. */
export const createSetPriceGroup = ({ prices, events }: Deps) =>
  async function setPriceGroup(caller: Person, userId: string, group: string | null) {
    const previousGroup = await prices.setGroup(userId, group);
    if (previousGroup === undefined) throw new AppError('NOT_FOUND');
    events.priceGroupSet({ userId, group, actor: actorOf(caller) });
    return { userId, group, previousGroup };
  };
