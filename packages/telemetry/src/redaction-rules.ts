export const REDACTED = '[redacted]';

/** Parts of key names, lower case without separators, that mark a secret wherever they occur. */
const SECRET_PARTS =
  /passw|passphrase|passcode|secret|authorization|cookie|apikey|accesskey|privatekey|signingkey|encryptionkey|credential|connectionstring|otp|backupcode|recoverycode|verificationcode|resetcode|cardnumber/;
const SECRET_NAMES = new Set([
  'pwd',
  'pin',
  'jwt',
  'bearer',
  'cvc',
  'cvv',
  'pan',
  'dsn',
  'databaseurl',
  'mongodburi',
  'mongouri',
]);
const TOKEN = /token/;

/** Keys under which people's words travel. Whole names, so that `promptTokens` or `historyLength` stay readable. */
const PROMPT_NAMES = new Set([
  'question',
  'prompt',
  'prompts',
  'systemprompt',
  'systemmessage',
  'history',
  'messages',
  'uploads',
  'answer',
  'completion',
  'content',
  'choices',
  'delta',
  'overrideconfig',
  'body',
  'rawbody',
]);

const ADDRESS_NAMES = new Set(['url', 'uri', 'originalurl', 'href', 'path', 'location', 'referer', 'referrer']);

const plain = (key: string) => key.toLowerCase().replace(/[^a-z0-9]/g, '');

export function namesSecret(key: string): boolean {
  const name = plain(key);
  return SECRET_PARTS.test(name) || SECRET_NAMES.has(name);
}

export const namesToken = (key: string): boolean => TOKEN.test(plain(key));

export const namesPrompt = (key: string): boolean => PROMPT_NAMES.has(plain(key));

export const isAddress = (key: string): boolean => ADDRESS_NAMES.has(plain(key));

export const withoutQuery = (address: string): string => address.replace(/[?#].*$/s, '');

const NAMES_IN_TEXT = 'passw(?:or)?d|passphrase|secret|token|api[-_]?key|authorization|cookie|otp|question|prompt';

/**
 * What secrets look like inside any text. No pattern repeats a repetition, and the caller bounds the text.
 * A closing quote is optional, because a text may have been cut in the middle of a secret.
 */
const MASKS: readonly (readonly [RegExp, string])[] = [
  // JSON inside text, such as the body that a parser quotes in its error.
  [
    new RegExp(`("[\\w-]{0,40}(?:${NAMES_IN_TEXT})[\\w-]{0,40}"\\s{0,9}:\\s{0,9})"(?:[^"\\\\]|\\\\.)*"?`, 'gi'),
    `$1"${REDACTED}"`,
  ],
  // A one-time code: six digits, unlike the codes of errors.
  [/("\w{0,20}code"\s{0,9}:\s{0,9})"?\d{6}\b"?/gi, `$1"${REDACTED}"`],
  // Header lines and other `authorization: …`, `cookie: …` up to the end of the line.
  [/\b((?:proxy-)?authorization|(?:set-)?cookie)(\s{0,9}[:=]\s{0,9})(?!\[redacted)[^\r\n]+/gi, `$1$2${REDACTED}`],
  [/\b(bearer)\s{1,9}[\w.~+/=-]{6,}/gi, `$1 ${REDACTED}`],
  [/\b([Bb]asic|BASIC)\s{1,9}(?=[\w+/]*[A-Z0-9=])[\w+/]{6,}={0,2}/g, `$1 ${REDACTED}`],
  // Two or three base64url parts, the first of them an encoded `{"`.
  [/(?<![\w-])eyJ[\w-]{4,}(?:\.[\w-]*){1,4}/g, REDACTED],
  [/(?<![\w-])((?:sk|pk|tg|tgk|whsec|ghp|xox[a-z])[-_])[\w-]{12,}/g, `$1${REDACTED}`],
  // Reset tokens and raw keys: 64 hex digits.
  [/\b[0-9a-f]{64}\b/gi, REDACTED],
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@:]{0,200}:[^\s@]{1,400}@/gi, `$1${REDACTED}@`],
  [/\b(https?:\/\/[^\s?#"'<>]{1,500})\?[^\s"'<>]*/gi, `$1?${REDACTED}`],
  [/\b([\w-]{0,40}(?:passw(?:or)?d|secret|token|api[-_]?key)[\w-]{0,40}=)(?!\[redacted)[^\s&;,"']+/gi, `$1${REDACTED}`],
];

/** What no mask can do without: words, ids and routes have none of it, and are looked at once instead of eleven times. */
const SUSPICIOUS =
  /["=@?]|eyJ|authorization|cookie|bearer|basic|(?<![\w-])(?:sk|pk|tg|tgk|whsec|ghp|xox[a-z])[-_]|\b[0-9a-f]{64}\b/i;

/** Ids of requests, holds and users are half of all that is logged; told by their own look in a quarter of the time. */
const ID = /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{24})$/;

/** A text without the secrets that can be told by their look. */
export function maskText(text: string): string {
  return ID.test(text) || !SUSPICIOUS.test(text) ? text : maskEach(text);
}

/** The same without the first look. */
export const maskEach = (text: string): string =>
  MASKS.reduce((masked, [pattern, by]) => masked.replace(pattern, by), text);
