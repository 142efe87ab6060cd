import { keyOf } from './user.ts';

export type PasswordRules = Readonly<{
  /** In characters, not bytes. */
  minLength: number;
  /** Lower case. */
  common: ReadonlySet<string>;
  /** Whether a password needs upper and lower case, a digit and a sign. */
  needsMixture: boolean;
  /** After so long a password no longer opens a session; undefined: never. */
  maxAgeMs?: number;
}>;

type Owner = Readonly<{ username: string; email: string }>;

/** How many passwords before the current one are remembered. */
export const FORMER_PASSWORDS = 5;

/** Words of this product; the first guess of somebody who attacks this product. */
const PRODUCT_WORDS = ['tollgate', 'flowise', 'openai', 'chatgpt'];
const SHORTEST_TELLING_PART = 4;

/** Why a password may not be chosen, as a sentence for its owner; undefined when it may. (NIST SP 800-63B, 3.1.1.2) */
export function faultOfPassword(password: string, owner: Owner, rules: PasswordRules): string | undefined {
  const length = [...password].length;
  if (length < rules.minLength) return `The password must have at least ${rules.minLength} characters`;
  if (rules.needsMixture && !MIXTURE.every((kind) => kind.test(password)))
    return 'The password must have an upper and a lower case letter, a digit and another sign';
  const key = keyOf(password);
  if (rules.common.has(key)) return 'This password is among the most common ones';
  if (ownWords(owner).some((word) => isVariation(key, word))) {
    return 'The password must not be made of your name or e-mail address';
  }
  if (PRODUCT_WORDS.some((word) => isVariation(key, word))) return 'The password must not be the name of this product';
  return undefined;
}

const MIXTURE = [/\p{Lu}/u, /\p{Ll}/u, /\p{N}/u, /[^\p{L}\p{N}\s]/u];

/** Whether the password of an account has outlived its time. */
export const hasExpired = (
  { passwordSetAt, createdAt }: Readonly<{ passwordSetAt?: Date; createdAt: Date }>,
  { maxAgeMs = Number.POSITIVE_INFINITY }: PasswordRules,
  now: number,
): boolean => now - (passwordSetAt ?? createdAt).getTime() >= maxAgeMs;

function ownWords({ username, email }: Owner): string[] {
  const address = keyOf(email);
  const localPart = address.slice(0, address.lastIndexOf('@'));
  return [keyOf(username), address, localPart];
}

/** The word itself, also between digits and signs, written twice or with look-alikes: `alice2024!`, `AliceAlice`, `@l1c3`. */
function isVariation(password: string, word: string): boolean {
  if (password === word) return true;
  if ([...word].length < SHORTEST_TELLING_PART) return false;
  const spellings = new RegExp([...word].map(spellingsOf).join(''), 'gu');
  const rest = password.replaceAll(spellings, '');
  return rest !== password && !/\p{L}/u.test(rest);
}

const LOOK_ALIKES: Readonly<Record<string, string>> = {
  a: '4@',
  b: '8',
  e: '3',
  g: '9',
  i: '1!',
  l: '1!',
  o: '0',
  s: '5$',
  t: '7+',
  z: '2',
};

/** One character of a pattern: the character, and what is written in its place. */
const spellingsOf = (character: string): string =>
  `[${(character + (LOOK_ALIKES[character] ?? '')).replaceAll(/[\\\]^-]/g, String.raw`\$&`)}]`;
