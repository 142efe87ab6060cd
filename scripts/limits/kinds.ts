/** What a bound is for. */
export const KINDS = {
  rate: 'so much in a time, from one caller',
  pool: 'so many at the same time; whoever comes next waits or is refused',
  queue: 'so many may wait; one more is refused',
  size: 'so large, so long, or so many in one thing',
  buffer: 'so much in memory, or taken at once',
  cache: 'so much is remembered, or for so long',
  timeout: 'so long is waited',
  retry: 'so often, or after so long, is tried again',
  life: 'so long something is good or kept',
  interval: 'so often something is looked at',
} as const;
export type Kind = keyof typeof KINDS;

/** By what the names of variables and constants say; the first that fits. */
const BY_NAME: readonly (readonly [RegExp, Kind])[] = [
  [/^LIMIT_|_PER_(MINUTE|HOUR|SECOND|SERVICE)|^RATE_LIMIT|STRIKES$|EXPORT_ROWS/, 'rate'],
  [/RETRY|RETRIES|TRIES|ATTEMPTS|BREAK_(AFTER|TIME)|GIVE_UP|BACKOFF|RECONNECT|RENEW_AT/, 'retry'],
  [/WAITING|QUEUE|LONGEST_LINE|UNCONCLUDED|PASSED_OVER|MOST_LOOKUPS|MOST_REPORTS/, 'queue'],
  [
    /CONNECTIONS|POOL|WORKERS|AT_ONCE|PARALLEL|SOCKETS_PER|SOCKET_ANSWERS|MAX_CHOICES|LANES|MOST_OF_ONE|MOST_REQUESTS/,
    'pool',
  ],
  [/REMEMBERED|CACHE|FRESHNESS|MAX_AGE$|KNOWN|CAPACITY|STANDARD_SIZE|MOST_SUBJECTS|MOST_BLOCKED|FRESH|STALE/, 'cache'],
  [/TTL|_IDLE|LEASE|RETENTION|LIFETIME|LIFE|_DAYS|ERASURE|KEPT|GRACE|TOLD_FOR|WINDOW|ABSOLUTE|TOLERANCE/, 'life'],
  [/INTERVAL|POLL|DELAY|_EVERY|OVERLAP|HEARTBEAT|BEATS|TURN|ROUND/, 'interval'],
  [
    /TIMEOUT|ACCEPT|DRAIN|KEEP_RUNNING|PATIENCE|DEADLINE|_WAIT|SILENCE|STALL|CLOS(E|ING)|LATE|SETTLED|(_MS|_SECONDS)$/,
    'timeout',
  ],
  [/BATCH|PAGE|BUFFER|HELD|PIECE|CHUNK|PER_TURN|BYTES/, 'buffer'],
  [/./, 'size'],
];

export const kindOf = (name: string): Kind => BY_NAME.find(([pattern]) => pattern.test(name))?.[1] ?? 'size';

/** Numbers of the configuration that bound nothing. */
export const NO_BOUNDS: ReadonlySet<string> = new Set([
  'PORT',
  'DB_PORT',
  'TRUST_PROXY_HOPS',
  'BCRYPT_COST',
  'CREDITS_PER_USD',
  'WELCOME_CREDITS',
]);
