import { join, resolve } from 'node:path';

/** Everything `scripts/dev` keeps lies in one git-ignored folder; TOLLGATE_FOLDER names another one. */
const folder = process.env['TOLLGATE_FOLDER'] ?? '.tollgate';
export const paths = {
  state: join(folder, 'dev.json'),
  pid: join(folder, 'dev.pid'),
  secrets: join(folder, 'secrets.json'),
  databases: resolve(folder, 'data'),
  logs: join(folder, 'logs'),
  runnerLog: join(folder, 'logs', 'dev.log'),
} as const;
