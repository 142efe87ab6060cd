import type { KeyLimits, UserId } from '@tollgate/contracts';
import type { ApiKey } from '../domain/api-key.ts';

/** Whose key it is: nobody else's is ever found. */
type Owned = Readonly<{ userId: UserId; id: string }>;
type NextSecret = Readonly<{
  secretHash: string;
  overlapUntil: Date | undefined;
  expiresAt: Date;
  /** Absent when no secret ends now. */
  endedAt?: Date | undefined;
}>;

export type ApiKeys = {
  /** False when the user has as many living keys as anybody may have; expired ones make room. */
  insert(key: ApiKey, now: Date): Promise<boolean>;
  find(id: string): Promise<ApiKey | undefined>;
  findOwn(key: Owned): Promise<ApiKey | undefined>;
  /** In the order of their making. */
  listOf(userId: UserId): Promise<ApiKey[]>;
  rename(key: Owned, name: string): Promise<ApiKey | undefined>;
  /** Undefined also when an administrator has switched the key off. */
  disable(key: Owned, now: Date): Promise<ApiKey | undefined>;
  /** The same. */
  enable(key: Owned): Promise<ApiKey | undefined>;
  disableAsAdmin(key: Owned, now: Date): Promise<ApiKey | undefined>;
  /** The key with the next revision of its limits, for whoever is about to change them. */
  beginLimits(key: Owned): Promise<ApiKey | undefined>;
  /** Undefined when another change of the limits has begun since this one. */
  setLimits(key: Owned & { limitsRevision: number }, limits: KeyLimits): Promise<ApiKey | undefined>;
  /** Undefined when the key has another secret than `key` by now, or is gone. */
  rotate(key: ApiKey, next: NextSecret): Promise<ApiKey | undefined>;
  remove(key: Owned): Promise<ApiKey | undefined>;
  noteUse(id: string, at: Date, ip: string | undefined): Promise<void>;
};

export type KeySecrets = {
  id(): string;
  /** A whole key for this id, to be shown once, and the hash to store. */
  create(id: string): { text: string; hash: string };
  hash(text: string): string;
};

/** The limits of keys, where they are booked. Throws DEPENDENCY_UNAVAILABLE when they may not have been taken. */
export type KeyLimitBook = { set(id: string, revision: number, limits: KeyLimits): Promise<void> };
