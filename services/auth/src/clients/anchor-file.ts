import { open } from 'node:fs/promises';
import type { KeepAnchor } from '../ports/audit.ts';

const OWNER_ONLY = 0o600;

/**
 * Adds each anchor to a file as a line of JSON, on the disk before it returns. The file is opened by its path each time, so
 * that it may be moved away at any moment.
 */
export const createAnchorFile = (path: string): KeepAnchor =>
  async function keepAnchor(anchor) {
    const file = await open(path, 'a', OWNER_ONLY);
    try {
      await file.appendFile(`${JSON.stringify(anchor)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  };
