/** Below this size a value is somebody else's (an API key, a database password) and only samples are refused. */
const KEY_BYTES = 16;
const FEWEST_CHARACTERS = 8;

/** Phrases of examples and tutorials. Long enough not to turn up in random text: six letters, or five and a second word. */
const SAMPLE =
  /change[-_ ]?(me|this|it)|(access|refresh|service|jwt|super|my|your|dev|test)[-_ ]?secret|secret[-_ ]?key|your[-_ ].{0,20}(secret|key|token|password)|replace[-_ ]|placeholder|example|insecure|passw0?rd|letmein|qwerty/i;
const SAMPLES = new Set([
  'secret',
  'admin',
  'postgres',
  'root',
  'default',
  'tollgate',
  'test',
  'token',
  'key',
  '123456',
]);

/** What is wrong with a secret, without repeating any of it; `undefined` when nothing is. */
export function faultOfSecret(value: string, minBytes: number): string | undefined {
  const size = Buffer.byteLength(value);
  if (size < minBytes) return `has ${size} bytes but needs at least ${minBytes}`;
  if (value !== value.trim()) return 'begins or ends with white space';
  if (SAMPLES.has(value.toLowerCase()) || SAMPLE.test(value)) return 'is a sample value: make a random one';
  if (minBytes >= KEY_BYTES && isRepetitive(value)) return 'repeats itself: make a random one';
  return undefined;
}

function isRepetitive(value: string): boolean {
  if (new Set(value).size < FEWEST_CHARACTERS) return true;
  // A text is a repetition of a shorter one exactly when it occurs inside its own double before the end.
  return (value + value).indexOf(value, 1) < value.length;
}
