import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Manifest, writeManifest } from './manifest.ts';
import { dumpMongo } from './mongo-dump.ts';
import { dumpPostgres } from './postgres.ts';
import type { BackupSettings } from './settings.ts';
import type { Store } from './stored-file.ts';

export interface Backup {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** Saves all databases into a new folder of `parent`, while they are in use. It has its name only when it is whole. */
export async function backUp(settings: BackupSettings, parent: string, now: Date): Promise<Backup> {
  const id = `tollgate-${now.toISOString().replaceAll(/[:.]/g, '-')}`;
  const draft = join(parent, `${id}.unfinished`);
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await mkdir(draft, { mode: 0o700 });
  const store: Store = { folder: draft, id, key: settings.key?.reveal() };
  try {
    // One after the other and accounting last: what it knows of, the others had to know first.
    const chatProxy = await dumpMongo(store, 'chat-proxy', settings.mongo['chat-proxy']);
    const auth = await dumpMongo(store, 'auth', settings.mongo.auth);
    const accounting = await dumpPostgres(store, settings);
    const parts = { 'chat-proxy': chatProxy, auth, accounting };
    const manifest: Manifest = { format: 1, id, isEncrypted: store.key !== undefined, parts };
    await writeManifest(draft, manifest);
    const folder = join(parent, id);
    await rename(draft, folder);
    return { folder, manifest };
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}
