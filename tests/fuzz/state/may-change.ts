/** `any`: whatever; `update`: no row more or less than before; `less`: rows may go; `worked off`: they may change, too, but none comes. */
type Allowance = readonly ['any' | 'update' | 'less' | 'worked off', reason: string];

/** What may change beside a refused request, each with its reason: it is the trace of the refusal, or the platform's own work. */
const ALLOWANCES: Readonly<Record<string, Allowance>> = {
  'auth.audit_log': ['any', 'a refusal of somebody who is known is written down (ASVS 16.3)'],
  'auth.audit_anchors': ['any', 'the log is anchored from time to time'],
  'auth.alerts': ['any', 'alerts are drawn from the log, some time later'],
  'auth.mail_queue': ['less', 'a letter goes when it was posted'],
  'auth.mailed_codes': ['any', 'a code is made when the letter to it is written'],
  'auth.invitations': ['update', 'the same for invitations'],
  'auth.api_keys': ['update', 'a key remembers when it was used last'],
  'accounting.idempotency_keys': ['any', 'a repetition of a refused money POST gets the same refusal'],
  'accounting.outbox': ['any', 'events of earlier requests are delivered, and a sealed head is an event'],
  'accounting.outbox_deliveries': ['any', 'events of earlier requests are delivered'],
  'accounting.ledger_heads': ['any', 'the ledger is sealed from time to time'],
  'accounting.ledger_head_leaves': ['any', 'the ledger is sealed from time to time'],
  'accounting.reconciliation_runs': ['any', 'the books are compared from time to time'],
  'accounting.usage_rollup': ['update', 'usage is summed up from time to time'],
  'chat-proxy.instances': ['any', 'every process says that it is alive'],
  'chat-proxy.chatflows': ['update', 'chatflows are synchronised from time to time'],
  'chat-proxy.background_turns': ['any', 'who does the work in the background takes turns'],
  'chat-proxy.upstream_forgets': [
    'worked off',
    'Flowise is told to forget, some time after a conversation was deleted',
  ],
  'chat-proxy.open_holds': ['less', 'the journal forgets an answer some time after it has been settled'],
  'chat-proxy.user_erasures': ['any', 'auth is asked for deleted accounts from time to time, and each is erased later'],
  'chat-proxy.idempotency_keys': ['any', 'a repetition gets the same refusal'],
  'chat-proxy.rate_counts': ['any', 'a question counts, whatever becomes of it'],
  'chat-proxy.answer_slots': ['any', 'a question takes a place, and gives it back when it is refused'],
};

/** Rows of accounting that are looked at; an empty counter is only the row that a request locks. */
export const LOOKED_AT: Readonly<Record<string, string>> = { limit_counters: 'used <> 0 OR reserved <> 0' };

/** Columns that are not: alerts are worked out later, and a newer token may tell of a newer profile whatever it asks for. */
export const OVERLOOKED: Readonly<Record<string, readonly string[]>> = {
  user_accounts: [
    'updated_at',
    'alert_below',
    'alert_base',
    'alert_version',
    'username',
    'email',
    'role',
    'profile_issued_at',
  ],
};

interface Counts {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
}

export function mayChange(place: string, { added, removed, changed }: Counts): boolean {
  const how = ALLOWANCES[place]?.[0];
  if (how === 'any') return true;
  if (how === 'update') return added === removed;
  if (how === 'worked off') return added === 0;
  return how === 'less' && added + changed === 0;
}
