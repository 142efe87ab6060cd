import { randomBytes } from 'node:crypto';
import { paths } from './paths.ts';
import { readSecrets, writePrivate } from './state.ts';

const SERVICE_SECRETS = [
  'JWT_ACCESS_SECRET',
  'JWT_REFRESH_SECRET',
  'JWT_SERVICE_SECRET',
  'PASSWORD_PEPPER',
  'TOKEN_HASH_SECRET',
  'MFA_ENCRYPTION_KEYS',
  'LEDGER_SIGNING_SECRET',
  'AUDIT_CHAIN_SECRET',
  'AUDIT_ANCHOR_SECRET',
  'POSTGRES_SERVICE_PASSWORD',
] as const;
const USER_PASSWORDS = ['ADMIN_PASSWORD', 'SUPERVISOR_PASSWORD', 'DEMO_PASSWORD'] as const;
export type SecretName = (typeof SERVICE_SECRETS)[number] | (typeof USER_PASSWORDS)[number];

/** Secrets of this checkout: made on the first start, kept until `--fresh`. Nothing is ever committed or has a default. */
export function devSecrets(): Record<SecretName, string> {
  const kept = readSecrets();
  const all = Object.fromEntries([
    ...SERVICE_SECRETS.map((name) => [name, kept[name] ?? randomBytes(48).toString('base64url')]),
    ...USER_PASSWORDS.map((name) => [name, kept[name] ?? randomBytes(12).toString('base64url')]),
  ]) as Record<SecretName, string>;
  writePrivate(paths.secrets, all);
  return all;
}
