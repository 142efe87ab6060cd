import type { FileId } from '../../domain/wire-types.ts';
import type { Files, Owner, StoredFile, StoredMessage } from '../../ports.ts';

export interface MessagesWithFiles {
  readonly messages: StoredMessage[];
  /** Those of the messages that are still there. */
  readonly files: ReadonlyMap<FileId, StoredFile>;
}

/** Messages with the files that were sent with them. */
export async function withFiles(
  files: Pick<Files, 'listOf'>,
  owner: Owner,
  messages: StoredMessage[],
): Promise<MessagesWithFiles> {
  const fileIds = messages.flatMap((message) => message.fileIds);
  const found = fileIds.length > 0 ? await files.listOf(owner, fileIds) : [];
  return { messages, files: new Map(found.map((file) => [file.id, file])) };
}
