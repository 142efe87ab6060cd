import { databaseUrl, type Environment, readConfig, type Secret, secret } from '@tollgate/config';
import { z } from 'zod';
import { readState } from '../dev-platform/state.ts';

const postgresUrl = () => databaseUrl(['postgres:', 'postgresql:']);
const mongoUrl = () => databaseUrl(['mongodb:', 'mongodb+srv:']);

/** What the two commands read. Every one may be given as NAME_FILE, as the services read theirs. */
const Variables = z.object({
  DATABASE_OWNER_URL: postgresUrl().describe('The database of accounting, as the role that owns its schema'),
  DATABASE_URL: postgresUrl().optional().describe('The same as the role that serves; a restore lets it in'),
  AUTH_MONGODB_URI: mongoUrl().describe('The database of auth'),
  CHAT_PROXY_MONGODB_URI: mongoUrl().describe('The database of chat-proxy'),
  BACKUP_KEY: secret().optional().describe('Encrypts the files of a backup; without it they are plain'),
  PG_BIN: z.string().max(4096).optional().describe('Folder of pg_dump and pg_restore; found by themselves when absent'),
});

export interface BackupSettings {
  readonly postgres: { readonly ownerUrl: string; readonly serviceRole: string | undefined };
  readonly mongo: Readonly<Record<MongoPart, string>>;
  readonly key: Secret | undefined;
  readonly programs: string | undefined;
}

/** The databases in the order in which they are saved: accounting has the last word, so its copy is the newest. */
export const MONGO_PARTS = ['chat-proxy', 'auth'] as const;
export type MongoPart = (typeof MONGO_PARTS)[number];
export const PARTS = [...MONGO_PARTS, 'accounting'] as const;
export type Part = (typeof PARTS)[number];

export const DEFAULT_DATABASES: Readonly<Record<MongoPart, string>> = {
  'chat-proxy': 'tollgate_chat',
  auth: 'tollgate_auth',
};

/** @throws ConfigError with every fault; its message may be printed. */
export function readSettings(env: Environment = process.env): BackupSettings {
  const read = readConfig(Variables, isGiven(env) ? env : { ...env, ...ofDevelopment() });
  const role = decodeURIComponent(URL.parse(read.DATABASE_URL?.reveal() ?? '')?.username ?? '');
  return {
    postgres: { ownerUrl: read.DATABASE_OWNER_URL.reveal(), serviceRole: role === '' ? undefined : role },
    mongo: { auth: read.AUTH_MONGODB_URI.reveal(), 'chat-proxy': read.CHAT_PROXY_MONGODB_URI.reveal() },
    key: read.BACKUP_KEY,
    programs: read.PG_BIN,
  };
}

const isGiven = (env: Environment): boolean =>
  Object.keys(Variables.shape).some(
    (name) => /_UR[LI]$/.test(name) && (env[name] ?? env[`${name}_FILE`]) !== undefined,
  );

/** Nobody should have to copy passwords to save the development installation. */
function ofDevelopment(): Environment {
  const dev = readState();
  if (!dev?.ready) return {};
  const { postgres, mongo } = dev.databases;
  const on = (name: string): string => {
    const url = new URL(mongo.url);
    url.pathname = `/${name}`;
    return url.href;
  };
  return {
    DATABASE_OWNER_URL: postgres.url,
    AUTH_MONGODB_URI: on(DEFAULT_DATABASES.auth),
    CHAT_PROXY_MONGODB_URI: on(DEFAULT_DATABASES['chat-proxy']),
  };
}
