import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { firstLine, Unavailable } from './dev-database.ts';
import type { StartOptions } from './dev-database.ts';
import { onPath, run } from './processes.ts';

const PACKAGE = 'postgresql-18-documentdb';
/** The first Debian release that carries the package. */
const SUITE = 'forky';
const UPDATE_LIMIT_MS = 120_000;
const DOWNLOAD_LIMIT_MS = 600_000;
const KEYRINGS = ['/usr/share/keyrings/debian-archive-keyring.pgp', '/usr/share/keyrings/debian-archive-keyring.gpg'];

const NEVER_RUN = [
  'etc',
  'var',
  'usr/bin',
  'usr/sbin',
  'usr/share/[!p]*',
  'usr/share/perl*',
  'usr/share/proj',
  'usr/lib/*/perl*',
];

/**
 * Unpacks the Debian package of DocumentDB with everything it depends on into `folder`/root, without touching the
 * machine's own packages: apt works on lists and a package database of its own, so no special rights are needed.
 * @returns the package's version. @throws Unavailable when this is no Debian or its mirror cannot serve the package.
 */
export async function unpackDocumentDb(folder: string, options: StartOptions): Promise<string> {
  const mirrors = await debianMirrors(options);
  const apt = join(folder, 'apt');
  await Promise.all(['lists/partial', 'archives/partial'].map((path) => mkdir(join(apt, path), { recursive: true })));
  await writeFile(join(apt, 'status'), '');
  options.onProgress?.(`DocumentDB: reading the package lists of Debian ${SUITE}`);
  await firstMirrorThatServes(apt, mirrors);
  options.onProgress?.('DocumentDB: downloading about 140 MB of packages (once per machine)');
  const install = ['--yes', '--download-only', '-o', 'APT::Install-Recommends=false', 'install', PACKAGE];
  await run({ file: 'apt-get', args: [...privateApt(apt), ...install] }, { timeoutMs: DOWNLOAD_LIMIT_MS });
  options.onProgress?.('DocumentDB: unpacking');
  const archives = (await readdir(join(apt, 'archives'))).filter((name) => name.endsWith('.deb'));
  await unpack(
    archives.map((name) => join(apt, 'archives', name)),
    join(folder, 'root'),
  );
  const archive = archives.find((name) => name.startsWith(`${PACKAGE}_`)) ?? '';
  return /_([\d.]+)/.exec(archive)?.[1] ?? '';
}

/** Where this machine gets its own Debian release from; the same places serve the newer one. */
async function debianMirrors(options: StartOptions): Promise<string[]> {
  if (process.platform !== 'linux') throw new Unavailable('it needs Linux');
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const codename = /^VERSION_CODENAME=(\S+)/m.exec(release)?.[1];
  if (!/^ID=debian$/m.test(release) || codename === undefined) throw new Unavailable('it needs Debian');
  for (const tool of ['apt-get', 'dpkg-deb']) {
    if (!(await onPath(tool, options.env))) throw new Unavailable(`it needs ${tool}`);
  }
  const uris = await run({ file: 'apt-get', args: ['--print-uris', 'update'] }, { timeoutMs: UPDATE_LIMIT_MS });
  const bases = (suite: string) =>
    [...uris.matchAll(new RegExp(`^'(\\S+/)dists/${suite}/\\S+'`, 'gm'))].map((found) => found[1] ?? '');
  // Other software sources may carry the same release name; only Debian's has a suite for its updates.
  const mirrors = [...new Set([...bases(`${codename}-updates`), ...bases(codename)])];
  if (mirrors.length === 0) throw new Unavailable('apt names no Debian mirror');
  return mirrors;
}

async function firstMirrorThatServes(apt: string, mirrors: string[]): Promise<void> {
  const keyring = (
    await Promise.all(
      KEYRINGS.map((path) =>
        access(path).then(
          () => path,
          () => undefined,
        ),
      ),
    )
  ).find(Boolean);
  let failure: unknown;
  for (const mirror of mirrors) {
    try {
      await writeFile(
        join(apt, 'sources.list'),
        `deb ${keyring ? `[signed-by=${keyring}] ` : ''}${mirror} ${SUITE} main\n`,
      );
      const strict = ['-o', 'APT::Update::Error-Mode=any'];
      await run({ file: 'apt-get', args: [...privateApt(apt), ...strict, 'update'] }, { timeoutMs: UPDATE_LIMIT_MS });
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw new Unavailable(`no Debian mirror serves ${SUITE} (${firstLine(failure)})`, { cause: failure });
}

/** Settings come from the machine (its proxies and certificates count), places from us. */
function privateApt(apt: string): string[] {
  const settings = {
    'Dir::Etc::sourcelist': join(apt, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State': apt,
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::State::status': join(apt, 'status'),
    'Dir::Cache': apt,
    'Dir::Cache::archives': join(apt, 'archives'),
    'Acquire::Languages': 'none',
    // A frozen copy of the archive is as good: signatures are still checked.
    'Acquire::Check-Valid-Until': 'false',
    // A machine without a network must find out soon.
    'Acquire::http::Timeout': '8',
    'Acquire::https::Timeout': '8',
    'Acquire::Retries': '1',
    'APT::Sandbox::User': '',
    'APT::Default-Release': '',
    'Debug::NoLocking': 'true',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

async function unpack(archives: string[], root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  const waiting = [...archives];
  const exclude = NEVER_RUN.map((path) => `--exclude='./${path}'`).join(' ');
  const worker = async () => {
    for (let archive = waiting.pop(); archive !== undefined; archive = waiting.pop()) {
      const script = `dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --no-same-owner ${exclude}`;
      await run({ file: '/bin/sh', args: ['-c', script, 'unpack', archive, root] });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}
