import type { Form } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { isFlow, originAllowed, uploadsOf } from '../../domain/chatflow.ts';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Attachment, Chatflows, Clock, FlowiseSide, Forgetting, Owner } from '../../ports.ts';
import { takeFiles } from './take-files.ts';

export interface AttachFilesDeps {
  readonly chatflows: Pick<Chatflows, 'findFor' | 'find'>;
  readonly side: Pick<FlowiseSide, 'attachments' | 'upsert'>;
  readonly forgetting: Pick<Forgetting, 'add'>;
  readonly newId: () => string;
  readonly clock: Clock;
}

/** Files that Flowise reads for a question. */
export const createAttachFiles = ({ chatflows, side, forgetting, newId, clock }: AttachFilesDeps) => ({
  async attach(
    owner: Owner,
    chatflowId: ChatflowId,
    { form, origin }: { form: Pick<Form<unknown>, 'files'>; origin: string | undefined },
  ): Promise<Attachment[]> {
    const chatflow = await chatflows.findFor(owner, chatflowId);
    if (!chatflow) throw new AppError('CHATFLOW_ACCESS_DENIED');
    if (!originAllowed(chatflow, origin)) throw new AppError('ORIGIN_NOT_ALLOWED');
    if (!isFlow(chatflow) || !uploadsOf(chatflow).files) {
      throw new AppError('VALIDATION_FAILED', 'This chatflow does not take files');
    }
    const files = await takeFiles(form);
    // A place at Flowise that belongs to no conversation: what was read comes back with the question, and nothing stays there.
    const chatId = newId();
    await forgetting.add([{ chatflowId, chatId, at: new Date(clock.now() + FORGET_AFTER_MS) }]);
    return side.attachments(chatflow, chatId, files);
  },

  /** For administrators: it changes what every user of the chatflow is answered from. */
  async feed(
    chatflowId: ChatflowId,
    form: Form<{ readonly stopNodeId?: string | undefined }>,
  ): Promise<Readonly<Record<string, number>>> {
    const chatflow = await chatflows.find(chatflowId);
    if (!chatflow || chatflow.syncStatus !== 'active' || !isFlow(chatflow)) {
      throw new AppError('NOT_FOUND', 'Chatflow not found');
    }
    const files = await takeFiles(form);
    const { stopNodeId } = await form.fields();
    return side.upsert(chatflow, { files, fields: stopNodeId === undefined ? {} : { stopNodeId } });
  },
});

/** Longer than Flowise may take to read. */
const FORGET_AFTER_MS = 5 * 60_000;
