import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import pg from 'pg';

import { cacheFolder } from './cache-folder.ts';
import type { Environment, StartOptions } from './dev-database.ts';
import { unpackDocumentDb } from './documentdb-packages.ts';
import { withLock } from './locks.ts';
import { startCluster } from './postgres-cluster.ts';
import { type Command, run } from './processes.ts';

/** Grows when the steps below change, so that an older result is not taken for a newer one. */
const RECIPE = '1';
const INSTALL_WAIT_MS = 900_000;
const POSTGRES = 'postgresql/18';
const SHARE = `usr/share/${POSTGRES}`;
/** What the server loads at run time; the libraries these need are kept, some 300 MB of others are not. */
const MODULES = /^(pg_documentdb.*|pg_cron|vector|postgis-3|tsm_system_rows|rum|plpgsql|dict_snowball)\.so$/;

export const DOCUMENTDB_SETTINGS = {
  shared_preload_libraries: 'pg_cron,pg_documentdb_core,pg_documentdb',
  'cron.database_name': 'postgres',
  // The gateway expires documents and cursors itself, at MongoDB's times, and builds indexes while the client waits.
  'cron.launch_active_jobs': 'off',
  'documentdb.enableBackgroundWorker': 'off',
  'documentdb.useFileBasedPersistedCursors': 'on',
  'documentdb.defaultCursorExpiryTimeLimitSeconds': '600',
  'documentdb.throwDeadlockOnCRUD': 'on',
  'documentdb_core.enableCollation': 'on',
  'documentdb.localhost_connection_string': 'host=127.0.0.1',
  // The only zone PostgreSQL knows without the files that the package expects on the machine.
  timezone: 'GMT',
  log_timezone: 'GMT',
  deadlock_timeout: '100ms',
  log_min_messages: 'fatal',
};

export type Installation = {
  /** Folder with initdb and postgres. */
  binaries: string;
  /** Folder with `data` and `password` of a stopped server that has the extension. */
  template: string;
  version: string;
  postgresVersion: string;
};

/** Installs DocumentDB into the cache folder once per machine and account; later calls only look it up. */
export async function installDocumentDb(options: StartOptions): Promise<Installation> {
  const folder = folderIn(options.env);
  const ready = await readInstallation(folder);
  if (ready) return ready;
  const wait = {
    timeoutMs: INSTALL_WAIT_MS,
    onWait: (pid: number) => options.onProgress?.(`DocumentDB: waiting for process ${pid}, which installs it`),
  };
  return withLock(`${folder}.lock`, wait, async () => (await readInstallation(folder)) ?? install(folder, options));
}

/** Whether a start would find it ready. */
export const isDocumentDbInstalled = async (env: Environment): Promise<boolean> =>
  (await readInstallation(folderIn(env))) !== undefined;

/**
 * A program of the PostgreSQL that the double brings, such as pg_dump, if it is installed: its command, to which arguments
 * are added. It needs the loader and the libraries it came with, as `wrap` says.
 */
export async function documentDbProgram(name: string, env: Environment): Promise<Command | undefined> {
  const installed = await readInstallation(folderIn(env));
  if (!installed) return undefined;
  const root = join(folderIn(env), 'programs');
  const loader = await findLoader(root).catch(() => undefined);
  if (loader === undefined) return undefined;
  const libraries = [dirname(loader), join(root, 'usr/lib', POSTGRES, 'lib')].join(':');
  return { file: loader, args: ['--library-path', libraries, join(installed.binaries, name)] };
}

const folderIn = (env: Environment) => join(cacheFolder(env), `documentdb-${RECIPE}`);

async function install(folder: string, options: StartOptions): Promise<Installation> {
  const draft = `${folder}.new`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  try {
    const version = await unpackDocumentDb(draft, options);
    await keepWhatRuns(join(draft, 'root'), join(draft, 'programs'));
    await Promise.all(['root', 'apt'].map((name) => rm(join(draft, name), { recursive: true })));
    const binaries = binariesIn(draft);
    options.onProgress?.('DocumentDB: preparing an empty database');
    await makeTemplate(draft, binaries, options);
    const words = await run({ file: join(binaries, 'postgres'), args: ['-V'] });
    const postgresVersion = /\) ([\d.]+)/.exec(words)?.[1] ?? '18';
    await writeFile(join(draft, 'versions.json'), JSON.stringify({ version, postgresVersion }));
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
    return { binaries: binariesIn(folder), template: join(folder, 'template'), version, postgresVersion };
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

const binariesIn = (folder: string) => join(folder, 'programs/usr/lib', POSTGRES, 'bin');

async function readInstallation(folder: string): Promise<Installation | undefined> {
  const text = await readFile(join(folder, 'versions.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const versions = JSON.parse(text) as { version: string; postgresVersion: string };
  return { binaries: binariesIn(folder), template: join(folder, 'template'), ...versions };
}

async function makeTemplate(draft: string, binaries: string, options: StartOptions): Promise<void> {
  const cluster = await startCluster({
    binaries,
    folder: join(draft, 'template'),
    durable: false,
    endsWithCaller: true,
    env: options.env,
    settings: DOCUMENTDB_SETTINGS,
    connectsToItself: true,
    // GMT is the one time zone that PostgreSQL knows without the machine's files, which a container may lack.
    initdb: ['--locale-provider=builtin', '--locale=C.UTF-8', '--set=timezone=GMT', '--set=log_timezone=GMT'],
  });
  const client = new pg.Client({ connectionString: cluster.url('postgres') });
  try {
    await client.connect();
    await client.query('CREATE EXTENSION documentdb CASCADE');
  } finally {
    await client.end();
    await cluster.stop();
  }
}

/** Moves PostgreSQL with its modules and the libraries they link to; everything else in the root is left to be removed. */
async function keepWhatRuns(root: string, programs: string): Promise<void> {
  const loader = await findLoader(root);
  const libraries = dirname(loader);
  const bin = join(root, 'usr/lib', POSTGRES, 'bin');
  const modules = join(root, 'usr/lib', POSTGRES, 'lib');
  // The packaged control file is a link that only the package's own installation step would make.
  await copyFile(join(root, SHARE, 'extension/postgis-3.control'), join(root, SHARE, 'extension/postgis.control'));
  const running = ['postgres', 'initdb'].map((name) => join(bin, name));
  for (const name of await readdir(modules)) if (MODULES.test(name)) running.push(join(modules, name));
  const linked = await Promise.all(running.map((file) => linkedLibraries(loader, [libraries, modules], file)));
  for (const path of [`usr/lib/${POSTGRES}/bin`, `usr/lib/${POSTGRES}/lib`, SHARE]) {
    await mkdir(dirname(join(programs, path)), { recursive: true });
    await rename(join(root, path), join(programs, path));
  }
  const target = join(programs, 'usr/lib', basename(libraries));
  await mkdir(target, { recursive: true });
  for (const file of new Set([loader, ...linked.flat()])) await moveLibrary(file, target);
  await Promise.all(['postgres', 'initdb'].map((name) => wrap(programs, name, basename(libraries), basename(loader))));
}

async function findLoader(root: string): Promise<string> {
  const libraries = join(root, 'usr/lib');
  for (const folder of (await readdir(libraries)).filter((name) => name.includes('-linux-gnu'))) {
    const loader = (await readdir(join(libraries, folder))).find((name) => /^ld-linux-.*\.so\.\d$/.test(name));
    if (loader) return join(libraries, folder, loader);
  }
  throw new Error('The unpacked packages hold no program loader');
}

/** ld.so(8) --list prints "name => path (address)" for every library a program needs. */
async function linkedLibraries(loader: string, folders: string[], file: string): Promise<string[]> {
  const words = await run({ file: loader, args: ['--library-path', folders.join(':'), '--list', file] });
  const paths = [...words.matchAll(/=> (\S+)/g)].map((found) => found[1] ?? '');
  return paths.filter((path) => dirname(path) === folders[0]);
}

/** Library names are links to the file that holds the code. */
async function moveLibrary(path: string, target: string): Promise<void> {
  if (!(await lstat(path)).isSymbolicLink()) return rename(path, join(target, basename(path)));
  const file = await readlink(path);
  await symlink(basename(file), join(target, basename(path)));
  await copyFile(join(dirname(path), file), join(target, basename(file)));
}

/**
 * The programs want a newer C library than the machine has, so they start through the one they came with. A script
 * under the program's own name lets initdb find postgres beside itself.
 */
async function wrap(programs: string, name: string, libraries: string, loader: string): Promise<void> {
  const bin = join(programs, 'usr/lib', POSTGRES, 'bin');
  await rename(join(bin, name), join(bin, `${name}.elf`));
  const script = [
    '#!/bin/sh',
    `bin=\${0%/*}; lib=\${bin%/${POSTGRES}/bin}`,
    `exec "$lib/${libraries}/${loader}" --library-path "$lib/${libraries}:$lib/${POSTGRES}/lib" \\`,
    `  --argv0 "$bin/${name}" "$bin/${name}.elf" "$@"`,
    '',
  ];
  await writeFile(join(bin, name), script.join('\n'));
  await chmod(join(bin, name), 0o755);
}
