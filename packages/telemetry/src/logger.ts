import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createLogger as createWinston, format, transports } from 'winston';
import { redact } from './redact.ts';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type Fields = Readonly<Record<string, unknown>>;
type Write = (message: string, fields?: Fields) => void;

/** Writes one line of JSON per call. Every field is redacted; an Error under any key keeps its cause and stack. */
export type Logger = Readonly<Record<LogLevel, Write>> & {
  readonly level: LogLevel | 'silent';
  /** A logger that adds `fields` to each of its lines. */
  child(fields: Fields): Logger;
  /** Ends the log once all lines are handed to the destination. Lines written later are dropped. */
  close(): Promise<void>;
};

export type LoggerOptions = Readonly<{
  service: string;
  /** The least important level that is written. Default: info. */
  level?: LogLevel | 'silent';
  /** Default: standard output. It is not closed by {@link Logger.close}. */
  destination?: NodeJS.WritableStream;
  /** Ids of the request under way, asked for every line. */
  context?: () => Readonly<Record<string, string>> | undefined;
  /** Shows questions and answers, for a developer's machine. Default: false. */
  showPrompts?: boolean;
  clock?: { now(): number };
}>;

const RANKS = Object.fromEntries(LOG_LEVELS.map((level, rank) => [level, rank]));
const LONGEST_MESSAGE = 1000;

/** Builds the log of a service: `{time, level, service, message, …ids of the request, …fields}`. */
export function createLogger(options: LoggerOptions): Logger {
  const { level = 'info', destination = process.stdout } = options;
  const sink = asUnended(destination);
  const transport = new transports.Stream({ stream: sink, eol: '\n' });
  const winston = createWinston({
    levels: RANKS,
    level: level === 'silent' ? 'error' : level,
    silent: level === 'silent',
    format: format.printf((entry) => String(entry.message)),
    transports: [transport],
  });
  const compose = createComposer(options);
  const rank = level === 'silent' ? -1 : LOG_LEVELS.indexOf(level);
  let isClosed = false;

  function withFields(bound: Fields): Logger {
    const writer = (at: LogLevel): Write => {
      if (LOG_LEVELS.indexOf(at) > rank) return () => {};
      // The line is finished before winston sees it: winston mixes fields called message or level into its own.
      return (message, fields = {}) => {
        if (!isClosed) winston.log({ level: at, message: compose(at, message, { ...bound, ...fields }) });
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
    // Three buffers in a row; each has handed everything on when the one before it has finished.
    const emptied = finished(transport);
    winston.end();
    await emptied;
    sink.end();
    await finished(sink);
  }

  return withFields({});
}

/** A log must not end the stream it was lent, least of all standard output. */
function asUnended(destination: NodeJS.WritableStream): Writable {
  return new Writable({
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => void destination.write(chunk, () => done()),
  });
}

function createComposer({ service, context, showPrompts = false, clock = Date }: LoggerOptions) {
  const options = { showPrompts };

  return function compose(level: LogLevel, message: string, fields: Fields): string {
    const line: Record<string, unknown> = Object.assign(Object.create(null), {
      time: new Date(clock.now()).toISOString(),
      level,
      service,
      message: redact(message.slice(0, LONGEST_MESSAGE), options),
    });
    for (const part of [context?.() ?? {}, fields]) {
      const said = new Set(Object.keys(line));
      for (const [name, value] of Object.entries(Object(redact(part, options)))) {
        // What a line says about itself and its request is never replaced by a field of the same name.
        line[said.has(name) ? `${name}_` : name] = value;
      }
    }
    return oneLine(line);
  };
}

/**
 * JSON escapes line ends and ESC but lets DEL, the C1 controls (one of them starts a terminal sequence), the Unicode line
 * ends and the marks that reverse text pass; escaped, they mean the same to a JSON parser and nothing to a terminal.
 */
function oneLine(line: object): string {
  return JSON.stringify(line).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
