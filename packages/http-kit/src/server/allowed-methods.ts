import { AppError } from '../app-error.ts';

interface Mounted {
  readonly method: string;
  /** With `:name` for parameters. */
  readonly path: string;
}

/** A 405 with the methods that are mounted on the path (RFC 9110, section 15.5.6). */
export const notAllowed = (mounted: readonly Mounted[], url: string): AppError =>
  new AppError('METHOD_NOT_ALLOWED', undefined, { headers: { allow: allowedMethods(mounted, url).join(', ') } });

/** Why nothing answered there. */
export const notMounted = (mounted: readonly Mounted[], url: string): AppError =>
  allowedMethods(mounted, url).length > 0 ? notAllowed(mounted, url) : new AppError('NOT_FOUND');

function allowedMethods(mounted: readonly Mounted[], url: string): string[] {
  const segments = (url.split('?')[0] ?? '').split('/');
  const methods = mounted
    .filter((route) => matches(route.path.split('/'), segments))
    .flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  return [...new Set(methods)];
}

const matches = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length &&
  pattern.every((part, index) => (part.startsWith(':') ? segments[index] !== '' : part === segments[index]));
