import type { Route } from './route.ts';

/** The methods of the routes that match a path, for the Allow header of a 405 (RFC 9110, section 15.5.6). */
export function allowedMethods(routes: readonly Route[], path: string): string[] {
  const segments = path.split('/');
  const methods = routes
    .filter(({ operation }) => matches(operation.path.split('/'), segments))
    .map(({ operation }) => operation.method);
  return [...new Set(methods)];
}

const matches = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length &&
  pattern.every((part, index) => part.startsWith(':') || part === segments[index]);
