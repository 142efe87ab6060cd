interface Mounted {
  readonly method: string;
  /** With `:name` for parameters. */
  readonly path: string;
}

/** The methods that are mounted on a path, for the Allow header of a 405 (RFC 9110, section 15.5.6). */
export function allowedMethods(mounted: readonly Mounted[], path: string): string[] {
  const segments = path.split('/');
  const methods = mounted
    .filter((route) => matches(route.path.split('/'), segments))
    .flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  return [...new Set(methods)];
}

const matches = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length &&
  pattern.every((part, index) => (part.startsWith(':') ? segments[index] !== '' : part === segments[index]));
