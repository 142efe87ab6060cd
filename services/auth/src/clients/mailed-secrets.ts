import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { UserId } from '@tollgate/contracts';
import type { CodeKind } from '../domain/mailed-code.ts';
import type { Clock, MailedSecrets } from '../ports.ts';
import { createKeyedHashes, type HashKeys } from './keyed-hashes.ts';

/** 24 bits are typed by hand; 256 bits are followed as a link. */
const BYTES: Readonly<Record<CodeKind, number>> = {
  'verify-email': 3,
  'change-email': 32,
  'reset-password': 32,
  invitation: 32,
};

/** Without 0/O, 1/l/I, so that it can be read out. 20 characters of 57 are 116 bits. */
const READABLE = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789';
const PASSWORD_LENGTH = 20;
const CHALLENGE_BYTES = 32;
const RANDOM_ID_BYTES = 8;
/** 96 bits: no two identifiers of one window meet. */
const IDENTIFIER_CHARACTERS = 16;
const HEX_DIGITS_OF_TIME = 8;

/** Random secrets from the system's generator. Hashes are keyed: 24 bits alone would be found by trying them all. */
export function createMailedSecrets(ring: HashKeys, clock: Clock): MailedSecrets {
  const hashesOf = createKeyedHashes(ring);
  const hashes: MailedSecrets['hashes'] = (kind, secret) => hashesOf(`${kind}:${secret}`);
  const challengeHashes: MailedSecrets['challengeHashes'] = (secret) => hashesOf(`challenge:${secret}`);
  return {
    create(kind) {
      const secret = randomBytes(BYTES[kind]).toString('hex');
      return { secret, hash: hashes(kind, secret)[0] };
    },
    hashes,
    challenge() {
      const secret = randomBytes(CHALLENGE_BYTES).toString('base64url');
      return { secret, hash: challengeHashes(secret)[0] };
    },
    challengeHashes,
    hashIdentifier: (name) => hashesOf(`identifier:${name}`)[0].slice(0, IDENTIFIER_CHARACTERS),
    password: () => Array.from({ length: PASSWORD_LENGTH }, () => READABLE[randomInt(READABLE.length)]).join(''),
    userId: () => UserId.parse(secondsInHex(clock.now()) + randomBytes(RANDOM_ID_BYTES).toString('hex')),
    uuid: () => randomUUID(),
  };
}

/** An ObjectId begins with its second, so that ids sort by age; the rest is random, so that nobody guesses one. */
const secondsInHex = (now: number): string =>
  Math.floor(now / 1000)
    .toString(16)
    .padStart(HEX_DIGITS_OF_TIME, '0');
