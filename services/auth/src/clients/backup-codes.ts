import { randomInt } from 'node:crypto';
import type { BackupCodes } from '../ports/second-factors.ts';
import { createKeyedHashes, type HashKeys } from './keyed-hashes.ts';

const CODES = 10;
/** Crockford's base 32: without letters that look like digits. 12 of them are 60 bits. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const GROUPS = 3;
const GROUP_LENGTH = 4;

/** Codes for the day the phone is lost. Their hashes are keyed and bound to the user; the first key of the ring makes new ones. */
export function createBackupCodes(ring: HashKeys): BackupCodes {
  const hashesOf = createKeyedHashes(ring);
  const hashes: BackupCodes['hashes'] = (userId, code) => hashesOf(`backup-code:${userId}:${canonical(code)}`);
  return {
    create(userId) {
      const codes = Array.from({ length: CODES }, newCode);
      return { codes, hashes: codes.map((code) => hashes(userId, code)[0]) };
    },
    hashes,
  };
}

const newCode = (): string => Array.from({ length: GROUPS }, newGroup).join('-');

const newGroup = (): string =>
  Array.from({ length: GROUP_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');

/** What people type for what they read: no dashes, and the letters that the alphabet leaves out. */
const canonical = (code: string): string =>
  code.replaceAll(/[\s-]/g, '').toLowerCase().replaceAll('o', '0').replaceAll(/[il]/g, '1');
