import { bool, duration, keyRing, whole } from '@tollgate/config';
import { z } from 'zod';

const MILLISECONDS = 1000;

/** What an installation asks of passwords and second factors. */
export const accountVariables = {
  PASSWORD_MIN_LENGTH: whole({ min: 8, max: 64 })
    .prefault('8')
    .describe('Shortest password, in characters; 15 advised'),
  PASSWORD_COMPOSITION: bool()
    .prefault('false')
    .describe('Whether passwords need upper and lower case, a digit and a sign; NIST advises against it'),
  PASSWORD_MAX_AGE: duration({ max: '3650d' })
    .prefault('0s')
    .describe('Age at which a password no longer opens a session; 0s: never, as NIST advises'),
  MFA_ENCRYPTION_KEYS: keyRing().describe('Keys that encrypt the secrets of second factors, current one first'),
  MFA_REQUIRED_FOR: z
    .enum(['none', 'admins', 'everyone'])
    .prefault('none')
    .describe('Who must have a second factor: none, admins (advised in production) or everyone'),
};

type AccountEnvironment = z.output<z.ZodObject<typeof accountVariables>>;

export const readAccountRules = (read: AccountEnvironment) => ({
  passwordRules: {
    minLength: read.PASSWORD_MIN_LENGTH,
    needsMixture: read.PASSWORD_COMPOSITION,
    ...(read.PASSWORD_MAX_AGE > 0 && { maxAgeMs: read.PASSWORD_MAX_AGE * MILLISECONDS }),
  },
  mfaKeys: read.MFA_ENCRYPTION_KEYS,
  mfaPolicy: read.MFA_REQUIRED_FOR,
});
