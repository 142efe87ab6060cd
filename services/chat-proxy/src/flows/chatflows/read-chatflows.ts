import { AppError } from '@tollgate/http-kit';
import { type Chatflow, originAllowed } from '../../domain/chatflow.ts';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { ChatflowChanges, Chatflows, Owner } from '../../ports.ts';

export type ReadChatflowsDeps = Readonly<{
  chatflows: Pick<Chatflows, 'listFor' | 'assignedTo' | 'findFor' | 'find' | 'list' | 'configure'>;
}>;

/** Chatflows as a user and as an administrator see them. */
export const createReadChatflows = ({ chatflows }: ReadChatflowsDeps) => ({
  listFor: (caller: Owner): Promise<Chatflow[]> => chatflows.listFor(caller),
  assignedTo: (caller: Owner) => chatflows.assignedTo(caller),

  async findFor(caller: Owner, id: ChatflowId, origin?: string): Promise<Chatflow> {
    const chatflow = found(await chatflows.findFor(caller, id));
    if (!originAllowed(chatflow, origin)) throw new AppError('ORIGIN_NOT_ALLOWED');
    return chatflow;
  },

  listAll: (includeDeleted: boolean): Promise<Chatflow[]> => chatflows.list({ includeDeleted }),

  async find(id: ChatflowId): Promise<Chatflow> {
    return found(await chatflows.find(id));
  },

  async stats() {
    const all = await chatflows.list({ includeDeleted: true });
    const count = (status: Chatflow['syncStatus']) => all.filter(({ syncStatus }) => syncStatus === status).length;
    const last = all.reduce<Date | null>(
      (latest, { syncedAt }) => (latest && latest > syncedAt ? latest : syncedAt),
      null,
    );
    return {
      total: all.length,
      active: count('active'),
      deleted: count('deleted'),
      error: count('error'),
      lastSync: last,
    };
  },

  async configure(id: ChatflowId, changes: ChatflowChanges): Promise<Chatflow> {
    return found(await chatflows.configure(id, changes));
  },
});

function found(chatflow: Chatflow | undefined): Chatflow {
  if (!chatflow) throw new AppError('NOT_FOUND', 'Chatflow not found');
  return chatflow;
}
