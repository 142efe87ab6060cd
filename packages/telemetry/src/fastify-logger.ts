import { format, types } from 'node:util';
import type { Fields } from './log-options.ts';
import type { Logger } from './logger.ts';

type Write = (first: unknown, ...rest: unknown[]) => void;

/** The part of pino's interface that Fastify asks of a `loggerInstance`. */
export type FastifyLogger = {
  level: string;
  fatal: Write;
  error: Write;
  warn: Write;
  info: Write;
  debug: Write;
  trace: Write;
  silent: Write;
  child(bindings: Fields): FastifyLogger;
};

/** Our log in the shape that Fastify wants: `log.info({req}, 'text %s', value)` or `log.info('text')`. */
export function toFastifyLogger(logger: Logger): FastifyLogger {
  const to =
    (level: 'error' | 'warn' | 'info' | 'debug'): Write =>
    (first, ...rest) => {
      if (typeof first === 'string') logger[level](format(first, ...rest));
      else logger[level](format(...rest) || messageOf(first), fieldsOf(first));
    };
  return {
    level: logger.level,
    fatal: to('error'),
    error: to('error'),
    warn: to('warn'),
    info: to('info'),
    debug: to('debug'),
    trace: to('debug'),
    silent: () => {},
    child: (bindings) => toFastifyLogger(logger.child(fieldsOf(bindings))),
  };
}

const messageOf = (value: unknown): string => (types.isNativeError(value) ? value.message : 'fastify');

/** A request or reply object is the whole server; a line needs to know which one, not what it holds. */
function fieldsOf(value: unknown): Fields {
  if (types.isNativeError(value)) return { error: value };
  if (typeof value !== 'object' || value === null) return {};
  const { req, res, err, ...others } = { req: undefined, res: undefined, err: undefined, ...value };
  return {
    ...others,
    ...(err !== undefined && { error: err }),
    ...(req !== undefined && { request: pick(req, ['method', 'url']) }),
    ...(res !== undefined && { response: pick(res, ['statusCode']) }),
  };
}

function pick(value: unknown, names: readonly string[]): Fields {
  return Object.fromEntries(names.map((name) => [name, Reflect.get(Object(value), name)]));
}
