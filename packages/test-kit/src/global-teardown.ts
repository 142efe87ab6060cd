import { rm } from 'node:fs/promises';
import type {} from './global-setup.ts';

/** Stops what global-setup.ts started and removes its files. */
export default async function stopDatabases(): Promise<void> {
  const running = globalThis.tollgateTestDatabases;
  if (!running) return;
  await Promise.all(running.databases.map((database) => database.stop()));
  await rm(running.folder, { recursive: true, force: true });
}
