import { durationMs } from '@tollgate/config';

/** Variables about conversations and chatflows. */
export const libraryVariables = {
  DELETED_ACCOUNT_ERASURE: durationMs({ max: '365d' })
    .prefault('24h')
    .describe('How long the conversations of a deleted account are kept'),
};
