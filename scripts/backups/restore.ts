import { type EndedAccess, endAccess } from './end-access.ts';
import { filesOf, type Manifest, readManifest } from './manifest.ts';
import { readyForRestore as readyMongo, restoreMongo } from './mongo-restore.ts';
import { readyForRestore as readyPostgres, restorePostgres } from './postgres.ts';
import { type BackupSettings, MONGO_PARTS, type Part } from './settings.ts';
import { isIntact, type Store } from './stored-file.ts';

export interface RestoreOptions {
  readonly parts: readonly Part[];
  /** Empties databases that hold something. */
  readonly force: boolean;
  /** Leaves API keys as they were when the copy was taken. */
  readonly keepsApiKeys: boolean;
  readonly now: Date;
}

export interface Restored {
  readonly manifest: Manifest;
  /** Undefined when the database of auth was not restored. */
  readonly ended: EndedAccess | undefined;
}

/** A backup of which every file is as it was written. @throws Error that names the first one that is not. */
export async function checkBackup(
  folder: string,
  key: string | undefined,
): Promise<{ store: Store; manifest: Manifest }> {
  const manifest = await readManifest(folder);
  if (manifest.isEncrypted && key === undefined) throw new Error('the backup is encrypted; give its BACKUP_KEY');
  const store: Store = { folder, id: manifest.id, key: manifest.isEncrypted ? key : undefined };
  for (const file of Object.values(manifest.parts).flatMap(filesOf))
    if (!(await isIntact(store, file))) throw new Error(`${file.path} is missing, or is not what was saved`);
  return { store, manifest };
}

/** Puts saved databases back. Everything that can be refused is refused before anything is written. */
export async function restore(settings: BackupSettings, folder: string, options: RestoreOptions): Promise<Restored> {
  const { parts, force, keepsApiKeys, now } = options;
  const { store, manifest } = await checkBackup(folder, settings.key?.reveal());
  const mongoParts = MONGO_PARTS.filter((part) => parts.includes(part));
  const wantsAccounting = parts.includes('accounting');
  if (wantsAccounting) await readyPostgres(settings, force);
  for (const part of mongoParts) await readyMongo(part, settings.mongo[part], force);
  if (wantsAccounting) await restorePostgres(store, manifest.parts.accounting, settings);
  for (const part of mongoParts) await restoreMongo(store, part, manifest.parts[part], settings.mongo[part]);
  const ended = parts.includes('auth') ? await endAccess(settings.mongo.auth, now, { keepsApiKeys }) : undefined;
  return { manifest, ended };
}
