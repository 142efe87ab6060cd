import { AppError, type RequestContext } from '@tollgate/http-kit';

const HEADER = 'x-keep-running';
const MOST_SECONDS = 3600;

/** Seconds that an answer shall go on when its client is gone; the operator's limit may be lower. */
export function keepRunningIn({ headers }: Pick<RequestContext, 'headers'>): number | undefined {
  const text = headers[HEADER];
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (!/^\d{1,4}$/.test(text) || seconds > MOST_SECONDS) {
    throw new AppError('VALIDATION_FAILED', undefined, {
      errors: [{ path: 'X-Keep-Running', message: `must be a whole number of seconds up to ${MOST_SECONDS}` }],
    });
  }
  return seconds;
}
