import type { Role } from '@tollgate/contracts';

/** What a user has set up beside the password. */
export type SecondFactor = Readonly<{
  /** The secret in force; absent until its first code proved that an app has it. */
  active?: Readonly<{ sealedSecret: string; lastStep: number; confirmedAt: Date }>;
  /** A secret that was shown and waits for its first code, beside one in force when the phone is replaced. */
  proposed?: Readonly<{ sealedSecret: string; proposedAt: Date }>;
  backupHashes: readonly string[];
}>;

/** Whom the installation wants to have a second factor. */
export type MfaPolicy = 'none' | 'admins' | 'everyone';

export const mustHaveSecondFactor = (policy: MfaPolicy, role: Role): boolean =>
  policy === 'everyone' || (policy === 'admins' && role === 'admin');

/** How long a shown secret waits for its first code. */
export const ENROLMENT_LIFE_MS = 600_000;

/** How long a proof of password and factor counts for sensitive changes. */
export const STEP_UP_LIFE_MS = 300_000;

const TOTP_CODE = /^\d{6}$/;

/** People copy codes with the spaces and dashes that apps show. */
export const bareCode = (code: string): string => code.replaceAll(/[\s-]/g, '').toLowerCase();

export const isTotpCode = (bare: string): boolean => TOTP_CODE.test(bare);
