/** `any`: whatever; `update`: no row more or less than before; `less`: rows may go. */
type Allowance = readonly ['any' | 'update' | 'less', reason: string];

/** What may change beside a refused request, each with its reason: it is the trace of the refusal, or the platform's own work. */
const ALLOWANCES: Readonly<Record<string, Allowance>> = {
  'auth.audit_log': ['any', 'a refusal of somebody who is known is written down (ASVS 16.3)'],
  'auth.alerts': ['any', 'alerts are drawn from that log, some time later'],
  'auth.mail_queue': ['less', 'a letter goes when it was posted'],
  'accounting.idempotency_keys': ['any', 'a repetition of a refused money POST gets the same refusal'],
  'accounting.outbox': ['update', 'events of earlier requests are delivered'],
  'accounting.outbox_deliveries': ['any', 'events of earlier requests are delivered'],
  'accounting.reconciliation_runs': ['any', 'the books are compared from time to time'],
  'chat-proxy.instances': ['any', 'every process says that it is alive'],
  'chat-proxy.chatflows': ['update', 'chatflows are synchronised from time to time'],
  'chat-proxy.idempotency_keys': ['any', 'a repetition gets the same refusal'],
};

/** Rows of accounting that are looked at; an empty counter is only the row that a request locks. */
export const COUNTS_NOTHING: Readonly<Record<string, string>> = { limit_counters: 'used <> 0 OR reserved <> 0' };

interface Counts {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
}

export function mayChange(place: string, { added, removed, changed }: Counts): boolean {
  const how = ALLOWANCES[place]?.[0];
  if (how === 'any') return true;
  if (how === 'update') return added === removed;
  return how === 'less' && added + changed === 0;
}
