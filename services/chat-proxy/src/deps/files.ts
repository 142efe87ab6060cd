import { randomUUID } from 'node:crypto';
import { createRounds } from '@tollgate/http-kit';
import type { createHeartbeats } from '@tollgate/telemetry';
import { createPictures } from '../clients/pictures.ts';
import type { Config } from '../config.ts';
import type { Tell } from '../domain/facts.ts';
import { KNOWN_TYPES } from '../domain/files/file-types.ts';
import { createFileLinks } from '../domain/files/file-links.ts';
import { createChatFiles } from '../flows/files/chat-files.ts';
import { createClearFiles } from '../flows/files/clear-files.ts';
import { createReadFiles } from '../flows/files/read-files.ts';
import { createStoreFile } from '../flows/files/store-file.ts';
import { createUploadFile } from '../flows/files/upload-file.ts';
import type { Clock } from '../ports.ts';
import type { Stores } from './store.ts';

interface Neighbours {
  readonly stores: Stores;
  readonly clock: Clock;
  readonly tell: Tell;
  readonly beat: ReturnType<typeof createHeartbeats>;
}

/** Everything that is done with the files of users. */
export function createFileFlows(config: Config, { stores, clock, tell, beat }: Neighbours) {
  const { files, blobs, quotas, thumbnails } = stores;
  const pictures = createPictures({ mostPixels: config.THUMBNAIL_MAX_PIXELS, atOnce: config.THUMBNAILS_AT_ONCE });
  const accepted = new Set(config.FILE_TYPES.length > 0 ? config.FILE_TYPES : KNOWN_TYPES);
  const quota = { bytes: config.FILE_QUOTA_BYTES, files: config.FILE_QUOTA_FILES };
  const clearing = createClearFiles({ files, blobs, thumbnails, quotas, clock });
  const storing = createStoreFile({
    files,
    blobs,
    quotas,
    pictures,
    clearing,
    newId: randomUUID,
    clock,
    quota,
    accepted,
  });
  const [current, ...former] = config.JWT_SERVICE_SECRET.map(({ secret }) => secret.reveal());
  return {
    inChats: createChatFiles({ files, blobs, storing, accepted, tell }),
    upload: createUploadFile({ storing }),
    read: createReadFiles({ files, blobs, thumbnails, pictures, clearing, clock }),
    links: createFileLinks({
      secrets: [current ?? '', ...former], // the variable has at least one key
      lifetimeMs: config.FILE_LINK_LIFETIME,
      now: clock.now,
    }),
    rounds: [
      createRounds(clearing.clearSome, {
        everyMs: config.FILE_CLEAR_INTERVAL,
        finished: beat('files', config.FILE_CLEAR_INTERVAL),
        failed: (error) => tell('background_failed', { task: 'files', reason: String(error) }),
      }),
    ],
  };
}
