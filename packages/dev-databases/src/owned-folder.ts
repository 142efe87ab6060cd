import { mkdir, rm } from 'node:fs/promises';
import { resolve } from 'node:path';

import { firstLine, once, Unavailable } from './dev-database.ts';
import type { DevDatabase } from './dev-database.ts';
import { takeLock } from './locks.ts';

/**
 * Starts a database on a folder that nobody else may use until it is stopped.
 * @throws Error naming the process that uses the folder now, which may be this one.
 * @throws Unavailable when the very first start fails: there is nothing to lose, so another kind may take its place.
 */
export async function withOwnedFolder(
  path: string,
  start: (folder: string) => Promise<DevDatabase>,
): Promise<DevDatabase> {
  const folder = resolve(path);
  const isNew = (await mkdir(folder, { recursive: true })) !== undefined;
  const lock = await takeLock(`${folder}.lock`);
  if ('heldBy' in lock) throw new Error(`${folder} is in use by process ${lock.heldBy}`);
  try {
    const database = await start(folder);
    return { ...database, stop: once(() => database.stop().finally(lock.release)) };
  } catch (error) {
    if (isNew) await rm(folder, { recursive: true, force: true });
    await lock.release();
    throw isNew ? new Unavailable(firstLine(error), { cause: error }) : error;
  }
}
