import { createHmac, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { UserId } from '@tollgate/contracts';
import type { CodeKind } from '../domain/mailed-code.ts';
import type { Clock, MailedSecrets } from '../ports.ts';

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
export function createMailedSecrets(key: { reveal(): string }, clock: Clock): MailedSecrets {
  const hash = (kind: CodeKind, secret: string): string =>
    createHmac('sha256', key.reveal()).update(`${kind}:${secret}`).digest('base64url');
  const hashChallenge = (secret: string): string =>
    createHmac('sha256', key.reveal()).update(`challenge:${secret}`).digest('base64url');
  return {
    create(kind) {
      const secret = randomBytes(BYTES[kind]).toString('hex');
      return { secret, hash: hash(kind, secret) };
    },
    hash,
    challenge() {
      const secret = randomBytes(CHALLENGE_BYTES).toString('base64url');
      return { secret, hash: hashChallenge(secret) };
    },
    hashChallenge,
    hashIdentifier: (name) =>
      createHmac('sha256', key.reveal())
        .update(`identifier:${name}`)
        .digest('base64url')
        .slice(0, IDENTIFIER_CHARACTERS),
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
