import { extname } from 'node:path';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

import type { Command } from './processes.ts';

/** A Node program beside this file; from the sources Node strips the types itself, from dist it is plain JavaScript. */
export function nodeProgram(name: string, args: string[] = []): Command {
  const program = fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url));
  return { file: execPath, args: ['--disable-warning=ExperimentalWarning', program, ...args] };
}
