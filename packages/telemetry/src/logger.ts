import { createComposer } from './compose-line.ts';
import { createLineBuffer } from './line-buffer.ts';
import { type Fields, LOG_LEVELS, type LoggerOptions, type LogLevel } from './log-options.ts';

type Write = (message: string, fields?: Fields) => void;

/** Writes one line of JSON per call. Every field is redacted; an Error under any key keeps its cause and stack. */
export type Logger = Readonly<Record<LogLevel, Write>> & {
  readonly level: LogLevel | 'silent';
  /** A logger that adds `fields` to each of its lines. */
  child(fields: Fields): Logger;
  /** Ends the log once all lines are handed to the destination. Lines written later are dropped. */
  close(): Promise<void>;
};

/** Builds the log of a service: `{time, level, service, message, …ids of the request, …fields}`. */
export function createLogger(options: LoggerOptions): Logger {
  const { level = 'info', destination = process.stdout } = options;
  const rank = level === 'silent' ? -1 : LOG_LEVELS.indexOf(level);
  const compose = createComposer(options);
  // Nothing is built, and no process watched, for a log that says nothing.
  const lines =
    rank < 0
      ? undefined
      : createLineBuffer({
          destination,
          lost: (count) => compose('warn', 'lines of the log were lost', { lines: count }),
        });
  let isClosed = false;

  function withFields(bound: Fields | undefined): Logger {
    const writer = (at: LogLevel): Write => {
      if (!lines || LOG_LEVELS.indexOf(at) > rank) return () => {};
      // What is said last before a crash is an error.
      const isUrgent = at === 'error';
      return (message, fields = {}) => {
        if (!isClosed) lines.add(compose(at, message, bound ? { ...bound, ...fields } : fields), isUrgent);
      };
    };
    return {
      level,
      error: writer('error'),
      warn: writer('warn'),
      info: writer('info'),
      debug: writer('debug'),
      child: (fields) => withFields({ ...bound, ...fields }),
      close,
    };
  }

  async function close(): Promise<void> {
    if (isClosed) return;
    isClosed = true;
    await lines?.close();
  }

  return withFields(undefined);
}
