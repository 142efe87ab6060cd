import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { documentDbProgram } from '@tollgate/dev-databases';

const ANSWER_MS = 10_000;

/** What to run for a program of PostgreSQL; arguments of its own come behind. */
export interface Program {
  readonly file: string;
  readonly args: readonly string[];
}

type ProgramName = 'pg_dump' | 'pg_restore';

/**
 * A pg_dump or pg_restore at least as new as the server, as PostgreSQL demands: from PG_BIN, PATH, Debian’s folders, what
 * development brings, or a container.
 */
export async function postgresProgram(name: ProgramName, major: number, folder: string | undefined): Promise<Program> {
  const plain = (file: string): Program => ({ file, args: [] });
  const double = await documentDbProgram(name, process.env);
  const candidates: Program[] =
    folder === undefined
      ? [
          plain(name),
          plain(join('/usr/lib/postgresql', String(major), 'bin', name)),
          ...(double ? [double] : []),
          inContainer(name, major),
        ]
      : [plain(join(folder, name))];
  const seen: string[] = [];
  for (const candidate of candidates) {
    const found = await versionOf(candidate);
    if (found !== undefined && found >= major) return candidate;
    if (found !== undefined) seen.push(`${candidate.file} is of version ${found}`);
  }
  const detail = seen.length > 0 ? ` (${seen.join(', ')})` : '';
  throw new Error(`no ${name} for PostgreSQL ${major} was found${detail}; name its folder in PG_BIN`);
}

async function versionOf({ file, args }: Program): Promise<number | undefined> {
  if (file.startsWith('/') && !existsSync(file)) return undefined;
  try {
    const { stdout } = await promisify(execFile)(file, [...args, '--version'], { timeout: ANSWER_MS });
    const major = /\) (\d+)/.exec(stdout)?.[1];
    return major === undefined ? undefined : Number(major);
  } catch {
    return undefined; // not there, or not for this machine
  }
}

/** In the network of this machine, so that an address means the same inside; `--pull never`, because a backup downloads nothing. */
const inContainer = (name: ProgramName, major: number): Program => ({
  file: 'docker',
  args: [
    'run',
    '--rm',
    '--interactive',
    '--pull',
    'never',
    '--network',
    'host',
    ...passed(),
    `postgres:${major}-alpine`,
    name,
  ],
});

/** The password travels in the environment, where no list of processes shows it. */
const passed = (): string[] => ['--env', 'PGPASSWORD'];
