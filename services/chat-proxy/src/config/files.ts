import { durationMs, list, whole } from '@tollgate/config';
import { chat } from '@tollgate/contracts';
import { z } from 'zod';

const MEBIBYTE = 1_048_576;
/** Each is noted in the one document that counts a user's files. */
const MOST_FILES = 5000;

/** What users may store, and for how long links to it are good. */
export const fileVariables = {
  FILE_QUOTA_BYTES: whole({ min: 0, max: 1024 * 1024 * MEBIBYTE })
    .default(500 * MEBIBYTE)
    .describe('Bytes that the files of one user may have together'),
  FILE_QUOTA_FILES: whole({ min: 0, max: MOST_FILES }).default(1000).describe('How many files one user may have'),
  FILE_TYPES: list(z.enum(chat.FILE_TYPES))
    .default([])
    .describe('Types of files that are taken, between commas; empty: all that are known'),
  FILE_LINK_LIFETIME: durationMs({ min: '10s', max: '60m' })
    .prefault('10m')
    .describe('How long a link of the history to a file is good'),
  FILE_CLEAR_INTERVAL: durationMs({ min: '10ms', max: '60m' })
    .prefault('15s')
    .describe('How often deleted files and unfinished uploads are cleared away'),
  THUMBNAIL_MAX_PIXELS: whole({ min: 1, max: 500_000_000 })
    .default(50_000_000)
    .describe('Larger pictures get no thumbnail: unfolded they would fill the memory'),
  THUMBNAILS_AT_ONCE: whole({ min: 1, max: 64 }).default(2).describe('Thumbnails that are made at once'),
};
