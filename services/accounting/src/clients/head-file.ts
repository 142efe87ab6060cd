import { open } from 'node:fs/promises';
import type { KeepHead } from '../ports.ts';

const OWNER_ONLY = 0o600;

/**
 * Adds each head to a file as a line of JSON, on the disk before it returns. The file is opened by its path each time, so that it
 * may be moved away at any moment.
 */
export const createHeadFile = (path: string): KeepHead =>
  async function keepHead(head) {
    const file = await open(path, 'a', OWNER_ONLY);
    try {
      await file.appendFile(`${JSON.stringify(head)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  };
