/** A database that answers on 127.0.0.1 (or wherever the caller's own URL points) until it is stopped. */
export type DevDatabase = {
  /** Connection string for a driver; holds the password, so keep it out of logs. */
  url: string;
  /** For people: what answers, for example "PostgreSQL 18.4 (embedded)". */
  engine: string;
  /** Processes this package started for the database; empty when it runs elsewhere (own URL, container). */
  pids: number[];
  /** Resolves once everything has ended cleanly. Calling it again returns the same promise. */
  stop(): Promise<void>;
};

export type Environment = Readonly<Record<string, string | undefined>>;

export type StartOptions = {
  /** Folder for data, passwords and server logs. One database per folder; made when missing. */
  dataDir: string;
  /** false (tests): trades crash safety for speed, and the servers end with the process that started them. */
  durable: boolean;
  /** Whether they do so although they are durable: for tests that kill them. */
  endsWithCaller?: boolean;
  /** The caller's environment, usually process.env: DATABASE_URL, MONGODB_URI, DOCKER_HOST, PATH, HOME, XDG_CACHE_HOME. */
  env: Environment;
  /** One line per step that takes time or was skipped. */
  onProgress?: (text: string) => void;
  /** Port on 127.0.0.1; the operating system picks one when it is left out. */
  port?: number;
};

/** One way to get a database. `start` throws Unavailable when that way is closed on this machine. */
export type Link = { name: string; start: (options: StartOptions) => Promise<DevDatabase> };

export const endsWithCaller = (options: Pick<StartOptions, 'durable' | 'endsWithCaller'>): boolean =>
  options.endsWithCaller ?? !options.durable;

/** This way is closed on this machine; the message says why in one line. Any other error ends the search. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}

/**
 * Tries each link in turn and returns the first database that runs.
 * @throws Error whose message lists every link with the reason it was skipped, and `advice`.
 */
export async function firstAvailable(
  store: string,
  links: Link[],
  options: StartOptions,
  advice: string,
): Promise<DevDatabase> {
  const skipped: string[] = [];
  for (const link of links) {
    try {
      const database = await link.start(options);
      return { ...database, stop: once(() => database.stop()) };
    } catch (error) {
      // A database that exists but cannot start now must not be replaced by an empty one of another kind.
      if (!(error instanceof Unavailable)) throw error;
      const reason = `${link.name} skipped: ${firstLine(error)}`;
      options.onProgress?.(`${store}: ${reason}`);
      skipped.push(`- ${reason}`);
    }
  }
  throw new Error(`No ${store} can be had on this machine.\n${skipped.join('\n')}\n${advice}`);
}

/** Runs `act` at most once and hands every caller the same promise. */
export function once<T>(act: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= act();
    return running;
  };
}

/** Rejects after `limitMs` with a message built from `what`; `late` is called if an answer still comes. */
export async function within<T>(
  work: Promise<T>,
  limitMs: number,
  what: string,
  late?: (answer: T) => void,
): Promise<T> {
  let isLate = false;
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isLate = true;
      reject(new Unavailable(`${what} took longer than ${limitMs / 1000} s`));
    }, limitMs);
  });
  work.then((answer) => isLate && late?.(answer)).catch(() => undefined);
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.trim().split('\n', 1)[0] ?? '';
}

/** Name of the one-node replica set every MongoDB here is. */
export const REPLICA_SET = 'tollgate';
