import type { accounting } from '@tollgate/contracts';
import type { Tenants } from '../ports.ts';
import type { Query } from './postgres.ts';

const ONLY_TENANT = 'default';

export function createTenants(query: Query): Tenants {
  return {
    read: () => settingsOf(query),
    async change({ timeZone, alertPercentages, alertCredits, actor, requestId }) {
      const [row] = await query<{ outcome: 'changed' | 'unknown_zone' }>(
        'SELECT ledger.change_tenant($1, jsonb_populate_record(NULL::ledger.tenant_request, $2)) AS outcome',
        [
          ONLY_TENANT,
          JSON.stringify({
            time_zone: timeZone,
            alert_percentages: alertPercentages,
            alert_credits: alertCredits,
            actor,
            request_id: requestId,
          }),
        ],
      );
      return row?.outcome === 'unknown_zone' ? 'unknown_zone' : settingsOf(query);
    },
    async rearmAlerts(limit) {
      const [row] = await query<{ accounts: number }>('SELECT ledger.rearm_alerts($1) AS accounts', [limit]);
      return row?.accounts ?? 0;
    },
  };
}

async function settingsOf(query: Query): Promise<accounting.TenantSettings> {
  const [settings] = await query<accounting.TenantSettings>(
    `SELECT time_zone AS "timeZone", alert_percentages AS "alertPercentages", to_jsonb(alert_credits) AS "alertCredits"
     FROM tenants WHERE id = $1`,
    [ONLY_TENANT],
  );
  if (!settings) throw new Error('the tenant is missing');
  return settings;
}
