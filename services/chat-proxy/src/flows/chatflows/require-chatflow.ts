import { AppError } from '@tollgate/http-kit';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Chatflows } from '../../ports.ts';

/** Nobody is given a chatflow that its upstream has no more. */
export async function requireChatflow(chatflows: Pick<Chatflows, 'find'>, id: ChatflowId): Promise<void> {
  const chatflow = await chatflows.find(id);
  if (!chatflow || chatflow.syncStatus === 'deleted') throw new AppError('NOT_FOUND', 'Chatflow not found');
}
