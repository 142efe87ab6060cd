import type { Form } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { LARGEST_FILE } from '../../domain/file-rules.ts';
import type { SessionId } from '../../domain/wire-types.ts';
import type { Owner, StoredFile } from '../../ports.ts';
import type { StoreFile } from './store-file.ts';

export type UploadForm = Form<{ readonly session_id?: SessionId | '' | undefined }>;

/** Stores the one file of a form. A conversation it names is a label among the user's own. */
export const createUploadFile = ({ storing }: { storing: StoreFile }) =>
  async function uploadFile(owner: Owner, form: UploadForm, sentBytes: number | undefined): Promise<StoredFile> {
    for await (const { name, mime, chunks } of form.files()) {
      const file = await storing.open(owner, Math.min(sentBytes ?? LARGEST_FILE, LARGEST_FILE));
      try {
        const { facts, place, ...filled } = await storing.fill(file, { name, mime, type: 'file', chunks });
        const sessionId = (await form.fields()).session_id || null;
        await storing.publish({ ...filled, facts, place }, { sessionId });
        return { ...facts, id: file.id, userId: owner.userId, sessionId, messageIds: [], place };
      } catch (error) {
        await storing.drop(file);
        throw error;
      }
    }
    throw new AppError('VALIDATION_FAILED', undefined, { errors: [{ path: 'file', message: 'is missing' }] });
  };
