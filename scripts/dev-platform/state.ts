import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Seeded } from '../seed.ts';
import { paths } from './paths.ts';

/** `.tollgate/dev.json`: what scripts and people need to know about the running platform. */
export interface DevState {
  readonly ready: boolean;
  readonly urls: {
    readonly auth: string;
    readonly chatProxy: string;
    readonly accounting: string;
    readonly mail: string;
    readonly upstream: string;
  };
  readonly smtpUrl: string;
  readonly databases: {
    readonly postgres: { readonly url: string; readonly engine: string };
    readonly mongo: { readonly url: string; readonly engine: string };
  };
  readonly users: Seeded['users'];
  readonly chatflows: Seeded['chatflows'];
  readonly pids: Readonly<Record<string, number>>;
}

const readJson = <T>(file: string): T | undefined =>
  existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : undefined;

/** Written whole or not at all, readable by its owner only: it holds passwords. */
export function writePrivate(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

export const readState = (): DevState | undefined => readJson<DevState>(paths.state);
export const writeState = (state: DevState): void => writePrivate(paths.state, state);
export const readSecrets = (): Record<string, string> => readJson<Record<string, string>>(paths.secrets) ?? {};

/** The runner that owns the platform, if it is alive. */
export function runningPid(): number | undefined {
  const pid = existsSync(paths.pid) ? Number(readFileSync(paths.pid, 'utf8')) : Number.NaN;
  return Number.isInteger(pid) && isAlive(pid) ? pid : undefined;
}

export function claimPid(): void {
  mkdirSync(dirname(paths.pid), { recursive: true });
  writeFileSync(paths.pid, String(process.pid));
}

export function releasePid(): void {
  rmSync(paths.pid, { force: true });
  const state = readState();
  if (state) writeState({ ...state, ready: false, pids: {} });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return Object(error).code === 'EPERM';
  }
}
