import type { accounting } from '@tollgate/contracts';
import type { Announce } from '../../ports.ts';
import type { Query } from '../postgres.ts';

type DataOf<Type extends accounting.OutboxEventType> = Extract<accounting.OutboxEvent, { type: Type }>['data'];

/** Puts heads and drifts into the outbox; `failed` is told what could not be put there. */
export function createAnnouncements(query: Query, failed: (type: string, error: unknown) => void): Announce {
  async function emit<Type extends 'ledger.head' | 'ledger.drift'>(type: Type, data: DataOf<Type>): Promise<void> {
    try {
      await query("SELECT ledger.emit_event('default', $1, NULL, $2, NULL)", [type, JSON.stringify(data)]);
    } catch (error) {
      failed(type, error);
    }
  }
  return {
    announceHead: (head) => emit('ledger.head', head),
    announceDrift: (check) => emit('ledger.drift', check),
  };
}
