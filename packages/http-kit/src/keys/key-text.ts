import { crc32 } from 'node:zlib';

/** What every API key begins with; scanners for leaked secrets look for it. */
const PREFIX = 'tg_';
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 16;
/** 62^43 is just above 2^256. */
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const WHOLE = /^tg_([0-9A-Za-z]{16})_[0-9A-Za-z]{49}$/;

/** Says which verifier is meant; nothing about whether the key is good. */
export const isKeyText = (text: string): boolean => text.startsWith(PREFIX);

/** The part of a key that people may see. */
export const keyPrefix = (id: string): string => PREFIX + id;

/** A random whole number below the argument, from a generator fit for secrets. */
type Draw = (below: number) => number;

export const drawKeyId = (draw: Draw): string => digits(ID_LENGTH, draw);

/** `tg_<id>_<secret><checksum>` with a new secret. */
export function drawKey(id: string, draw: Draw): string {
  const body = `${keyPrefix(id)}_${digits(SECRET_LENGTH, draw)}`;
  return body + checksumOf(body);
}

/** The id in a key that is whole; undefined for typos and for what only looks like a key, without asking anybody. */
export function idOfKey(text: string): string | undefined {
  const id = WHOLE.exec(text)?.[1];
  const isWhole = checksumOf(text.slice(0, -CHECKSUM_LENGTH)) === text.slice(-CHECKSUM_LENGTH);
  return isWhole ? id : undefined;
}

const digits = (length: number, draw: Draw): string =>
  Array.from({ length }, () => DIGITS.charAt(draw(DIGITS.length))).join('');

/** CRC-32 in base 62, as in the tokens of code hosts, so that the scanners' rules for those fit here. */
function checksumOf(text: string): string {
  let rest = crc32(text);
  let checksum = '';
  while (checksum.length < CHECKSUM_LENGTH) {
    checksum = DIGITS.charAt(rest % DIGITS.length) + checksum;
    rest = Math.floor(rest / DIGITS.length);
  }
  return checksum;
}
