import type { UserId } from '@tollgate/contracts';
import type { SecondFactor } from '../domain/second-factor.ts';
import type { Hashes } from './hashes.ts';

export type SecondFactors = {
  find(userId: UserId): Promise<SecondFactor | undefined>;
  /** Keeps a secret that waits for its first code; replaces one that waited before. */
  propose(userId: UserId, sealedSecret: string, now: Date): Promise<void>;
  /** Puts the proposed secret in force and voids whatever was in force; false unless it is still the one proposed. */
  confirm(
    userId: UserId,
    sealedSecret: string,
    first: { step: number; backupHashes: readonly string[]; now: Date },
  ): Promise<boolean>;
  /** Uses a time step up, with a newly sealed secret when one is given; false when it or a later one was used. */
  useStep(userId: UserId, used: { sealedSecret: string; resealed?: string; step: number }): Promise<boolean>;
  /** False when no such code is left. */
  useBackupCode(userId: UserId, hashes: Hashes): Promise<boolean>;
  /** Secrets in force, a page of them in the order of their owners. */
  sealedAfter(owner: UserId | undefined, limit: number): Promise<{ userId: UserId; sealedSecret: string }[]>;
  /** Puts the same secret, sealed anew, in the place of the old; false when it is no longer there. */
  reseal(userId: UserId, from: string, to: string): Promise<boolean>;
  /** Voids the old set; false without a factor. */
  replaceBackupCodes(userId: UserId, hashes: readonly string[]): Promise<boolean>;
  /** False when there was nothing in force. */
  remove(userId: UserId): Promise<boolean>;
  /** What belonged to accounts that are no more. */
  removeOf(userIds: readonly UserId[]): Promise<void>;
};

export type KeyUse = {
  /** By the key that the passwords of accounts were hashed with. */
  peppers(): Promise<{ kid: string; accounts: number }[]>;
};

/** Where a sealed field stands. */
export type FieldPlace = Readonly<{ collection: string; field: string; owner: string }>;

export type FieldCipher = {
  seal(text: string, place: FieldPlace): string;
  /** `isOutdated`: under a key that is not the current one. Throws for a field that was changed or stood elsewhere. */
  open(sealed: string, place: FieldPlace): { text: string; isOutdated: boolean };
};

/** What an authenticator app is given: the secret as text, as an `otpauth:` address, and that address as an image. */
export type Enrolment = Readonly<{ secret: string; uri: string; qrCode: string }>;

export type Totp = {
  newSecret(): string;
  /** `account`: the name the app shows. */
  describe(secret: string, account: string): Promise<Enrolment>;
  /** The time step of a code that counts now, one step early or one step late; undefined for any other code. */
  stepOf(secret: string, code: string, now: number): number | undefined;
};

export type BackupCodes = {
  /** A fresh set and the hashes to store. */
  create(userId: UserId): { codes: string[]; hashes: string[] };
  hashes(userId: UserId, code: string): Hashes;
};
