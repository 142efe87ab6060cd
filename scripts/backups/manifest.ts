import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { StoredFile } from './stored-file.ts';

const MANIFEST = 'manifest.json';

const Collection = z.strictObject({
  name: z.string().min(1).max(120),
  documents: z.int().min(0),
  file: StoredFile,
  /** Options and indexes, in the form of mongodump. */
  metadata: StoredFile,
});
export type SavedCollection = z.output<typeof Collection>;

/** Figures of one moment, to be found again after a restore. */
const Books = z.strictObject({
  accounts: z.int().min(0),
  entries: z.int().min(0),
  credits: z.int(),
  openHolds: z.int().min(0),
});
export type Books = z.output<typeof Books>;

const MongoDump = z.strictObject({ takenAt: z.iso.datetime(), collections: z.array(Collection) });
const PostgresDump = z.strictObject({
  takenAt: z.iso.datetime(),
  server: z.string().max(100),
  books: Books,
  file: StoredFile,
});

/** What a backup holds. It is written last: a folder without it is half a backup. */
export const Manifest = z.strictObject({
  format: z.literal(1),
  id: z.string().regex(/^tollgate-[\w-]{1,60}$/),
  isEncrypted: z.boolean(),
  parts: z.strictObject({ 'chat-proxy': MongoDump, auth: MongoDump, accounting: PostgresDump }),
});
export type Manifest = z.output<typeof Manifest>;
export type MongoDump = z.output<typeof MongoDump>;
export type PostgresDump = z.output<typeof PostgresDump>;

export const writeManifest = (folder: string, manifest: Manifest): Promise<void> =>
  writeFile(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true });

export async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, MANIFEST), 'utf8').catch((error: unknown) => {
    throw new Error(`${folder} is no finished backup: it has no ${MANIFEST}`, { cause: error });
  });
  const read = Manifest.safeParse(JSON.parse(text));
  if (!read.success) throw new Error(`${MANIFEST} of ${folder} is of another version, or was changed`);
  return read.data;
}

/** Every file that a part is made of. */
export const filesOf = (part: MongoDump | PostgresDump): StoredFile[] =>
  'file' in part ? [part.file] : part.collections.flatMap(({ file, metadata }) => [file, metadata]);
