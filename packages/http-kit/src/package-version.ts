import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/**
 * The version of the package that a module belongs to. `module` is its `import.meta.url`; it must lie in `src`, or at the
 * same depth in `dist`.
 */
export async function packageVersion(module: string): Promise<string> {
  const text = await readFile(new URL('../package.json', module), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
