export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type Fields = Readonly<Record<string, unknown>>;
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
