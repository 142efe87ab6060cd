import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { Environment } from './dev-database.ts';
import { onPath, run } from './processes.ts';
import type { Command } from './processes.ts';

/** PostgreSQL refuses to run as root; these accounts may take its place, the first that exists. */
const CANDIDATES = ['postgres', 'nobody'];
const OTHERS_MAY_ENTER = 0o001;
const CAPABILITY = ['--securebits=+no_setuid_fixup', '--inh-caps=+dac_override', '--ambient-caps=+dac_override'];

/** The account a server runs under when the caller is root. */
export type ServerAccount = {
  /** Gives it a file, or a folder with everything inside. */
  own(path: string): Promise<void>;
  /** Wraps a command so that it runs under this account and can reach `paths`. */
  command(command: Command, paths: string[]): Promise<Command>;
};

/** @returns an account that changes nothing for ordinary users. @throws Error when root finds nobody to become. */
export async function serverAccount(env: Environment): Promise<ServerAccount> {
  if (process.getuid?.() !== 0) return { own: async () => undefined, command: async (command) => command };
  const { name, uid, gid } = await findAccount();
  const setpriv = await onPath('setpriv', env);
  if (setpriv === undefined)
    throw new Error(`setpriv (util-linux) is needed to run a server as ${name} instead of root`);
  return {
    own: async (path) => void (await run({ file: 'chown', args: ['-R', `${uid}:${gid}`, path] })),
    command: async ({ file, args }, paths) => {
      const identity = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
      return { file: setpriv, args: [...identity, ...(await reach(paths)), file, ...args] };
    },
  };
}

/**
 * Folders such as /root or a fresh mkdtemp are closed to other accounts; one capability opens them to this server. The
 * secure bit makes access(2) respect it, which PostgreSQL asks about its own programs.
 */
async function reach(paths: string[]): Promise<string[]> {
  for (const path of paths) {
    if (!(await othersMayEnter(path))) return CAPABILITY;
  }
  return [];
}

async function othersMayEnter(path: string): Promise<boolean> {
  const parent = dirname(path);
  if (parent === path) return true;
  const { mode } = await stat(parent);
  return (mode & OTHERS_MAY_ENTER) !== 0 && othersMayEnter(parent);
}

async function findAccount(): Promise<{ name: string; uid: number; gid: number }> {
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of CANDIDATES) {
    const [, , uid, gid] = accounts.find((account) => account[0] === name) ?? [];
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(`A server must not run as root and none of the accounts ${CANDIDATES.join(', ')} exists`);
}
