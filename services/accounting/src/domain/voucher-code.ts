import { createHash } from 'node:crypto';

/** Crockford's base 32: no I, L, O and U, which people take for 1, 1, 0 and V. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** 20 characters of 5 bits: 100 bits, beyond guessing. */
export const VOUCHER_CODE_BYTES = 20;
const GROUP = /.{5}(?=.)/g;

/** A code out of VOUCHER_CODE_BYTES random bytes, each of which gives 5 bits. */
export const voucherCode = (random: Uint8Array): string =>
  [...random]
    .map((byte) => ALPHABET[byte % ALPHABET.length])
    .join('')
    .replaceAll(GROUP, '$&-');

/** The hash a code is known by, the same however a person writes the code. */
export const voucherHash = (code: string): string => createHash('sha256').update(canonical(code)).digest('hex');

const canonical = (code: string): string =>
  code.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1');
