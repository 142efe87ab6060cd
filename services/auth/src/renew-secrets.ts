import { readAuthConfig } from './config.ts';
import { createDeps } from './deps.ts';

/*
 * node --conditions=tollgate services/auth/src/renew-secrets.ts
 * With the environment of the service, after a key was put in front of MFA_ENCRYPTION_KEYS: seals every second factor with it,
 * and prints how many, and which peppers the passwords of accounts still need. Safe to run twice and while the service runs.
 */

const deps = await createDeps({ ...readAuthConfig(), logLevel: 'error' });
try {
  await deps.connected;
  process.stdout.write(`${JSON.stringify(await deps.flows.renewSecrets())}\n`);
} finally {
  await deps.close();
}
