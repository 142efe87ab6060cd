import { ChatflowId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { Chatflow } from '../../domain/chatflow.ts';
import { MODEL_PREFIX } from '../../domain/openai/model-name.ts';
import type { Asker, Chatflows } from '../../ports.ts';

const IS_ID = /^model:|^[0-9a-f]{8}-[0-9a-f]{4}-/i;

export type FindModelDeps = Readonly<{ chatflows: Pick<Chatflows, 'findFor'> }>;

/** What a client of OpenAI's API calls a model: one by its name, or any chatflow by its id. */
export const createFindModel = ({ chatflows }: FindModelDeps) =>
  async function findModel(caller: Asker, name: string): Promise<Chatflow> {
    // What most clients say first, because a look-up that finds nothing is not remembered.
    for (const id of IS_ID.test(name) ? [name] : [MODEL_PREFIX + name, name]) {
      const known = ChatflowId.safeParse(id);
      const chatflow = known.success ? await chatflows.findFor(caller, known.data) : undefined;
      if (chatflow) return chatflow;
    }
    throw unknownModel();
  };

export type FindModel = ReturnType<typeof createFindModel>;

export const unknownModel = (): AppError =>
  new AppError('MODEL_NOT_FOUND', undefined, { errors: [{ path: 'model', message: 'is not known' }] });
