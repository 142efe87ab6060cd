import type { accounting, ServerInput } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { actorOf, type Person } from '../../domain/callers.ts';
import type { Ports } from '../../ports.ts';

type Change = ServerInput<typeof accounting.changeTenant>['body'];

export const createReadTenant = ({ tenants }: Pick<Ports, 'tenants'>) =>
  function readTenant(): Promise<accounting.TenantSettings> {
    return tenants.read();
  };

/** The change and the event that tells of it are one transaction. */
export const createChangeTenant = ({ tenants, events }: Pick<Ports, 'tenants' | 'events'>) =>
  async function changeTenant(
    caller: Person,
    change: Change & { requestId: string },
  ): Promise<accounting.TenantSettings> {
    const actor = actorOf(caller);
    const changed = await tenants.change({ ...change, actor });
    if (changed === 'unknown_zone') throw new AppError('VALIDATION_FAILED', 'timeZone: no such time zone');
    events.tenantChanged({ actor });
    return changed;
  };

/** Short enough for the locks of its accounts. */
const ACCOUNTS_AT_ONCE = 100;

/** Brings accounts to thresholds that were changed. True when there may be more. */
export const createRearmAlerts = ({ tenants }: Pick<Ports, 'tenants'>) =>
  async function rearmAlerts(): Promise<boolean> {
    return (await tenants.rearmAlerts(ACCOUNTS_AT_ONCE)) > 0;
  };
