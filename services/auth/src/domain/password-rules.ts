import { keyOf } from './user.ts';

export type PasswordRules = Readonly<{
  /** In characters, not bytes. */
  minLength: number;
  /** Lower case. */
  common: ReadonlySet<string>;
}>;

type Owner = Readonly<{ username: string; email: string }>;

/** Words of this product; the first guess of somebody who attacks this product. */
const PRODUCT_WORDS = ['tollgate'];
const SHORTEST_TELLING_PART = 4;

/** Why a password may not be chosen, as a sentence for its owner; undefined when it may. (NIST SP 800-63B, 3.1.1.2) */
export function faultOfPassword(password: string, owner: Owner, rules: PasswordRules): string | undefined {
  const length = [...password].length;
  if (length < rules.minLength) return `The password must have at least ${rules.minLength} characters`;
  const key = keyOf(password);
  if (rules.common.has(key)) return 'This password is among the most common ones';
  if (ownWords(owner).some((word) => isVariation(key, word))) {
    return 'The password must not be made of your name or e-mail address';
  }
  if (PRODUCT_WORDS.some((word) => isVariation(key, word))) return 'The password must not be the name of this product';
  return undefined;
}

function ownWords({ username, email }: Owner): string[] {
  const address = keyOf(email);
  const localPart = address.slice(0, address.lastIndexOf('@'));
  return [keyOf(username), address, localPart];
}

/** The word itself, also between digits and signs or written twice: `alice2024!`, `AliceAlice`. */
function isVariation(password: string, word: string): boolean {
  if (password === word) return true;
  if (word.length < SHORTEST_TELLING_PART) return false;
  return !/\p{L}/u.test(password.replaceAll(word, '')) && password.includes(word);
}
