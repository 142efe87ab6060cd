import { AppError } from '@tollgate/http-kit';
import { type Chatflow, isPublic, originAllowed } from '../../domain/chatflow.ts';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Chatflows, Owner } from '../../ports.ts';

export interface FindWindowDeps {
  readonly chatflows: Pick<Chatflows, 'find' | 'findFor'>;
}

/**
 * The chatflow behind a chat window that may not have signed in yet: without credentials only a public one. One that is not
 * public and one that does not exist look the same.
 */
export const createFindWindow = ({ chatflows }: FindWindowDeps) =>
  async function findWindow(owner: Owner | undefined, id: ChatflowId, origin: string | undefined): Promise<Chatflow> {
    const chatflow = owner ? await chatflows.findFor(owner, id) : await chatflows.find(id);
    if (owner && !chatflow) throw new AppError('NOT_FOUND', 'Chatflow not found');
    if (!chatflow || (!owner && !isOpen(chatflow))) throw unknown();
    if (!originAllowed(chatflow, origin)) throw new AppError('ORIGIN_NOT_ALLOWED');
    return chatflow;
  };

const isOpen = (chatflow: Chatflow): boolean => chatflow.syncStatus === 'active' && isPublic(chatflow);

/**
 * flowise-sdk asks without its key whether a chatflow streams, whatever the status of the answer is, and would read a stream
 * as JSON if it were told no. This says nothing: it is the same for every chatflow.
 */
const unknown = (): AppError =>
  new AppError('UNAUTHENTICATED', undefined, {
    headers: { 'www-authenticate': 'Bearer' },
    extra: { isStreaming: true },
  });

export type FindWindow = ReturnType<typeof createFindWindow>;
