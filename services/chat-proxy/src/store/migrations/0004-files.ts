import type { Migration } from '@tollgate/mongo-kit';

/** Files of users, the bytes they share (GridFS, bucket `file_bytes`), and what they take up. */
export const files: Migration = {
  name: '0004-files',
  indexes: [
    {
      collection: 'files',
      key: { user_id: 1, session_id: 1, uploaded_at: 1 },
      options: { name: 'user_session_uploaded_at' },
    },
    { collection: 'files', key: { user_id: 1, message_ids: 1 }, options: { name: 'user_messages' } },
    { collection: 'files', key: { erase_at: 1 }, options: { name: 'erase_at', sparse: true } },
    { collection: 'file_thumbnails', key: { storage: 1 }, options: { name: 'storage' } },
    // As the driver would make them itself, with rights that it does not need here.
    {
      collection: 'file_bytes.files',
      key: { filename: 1, uploadDate: 1 },
      options: { name: 'filename_1_uploadDate_1' },
    },
    { collection: 'file_bytes.chunks', key: { files_id: 1, n: 1 }, options: { name: 'files_id_1_n_1', unique: true } },
  ],
};
