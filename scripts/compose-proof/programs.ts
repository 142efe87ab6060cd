import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const LIMIT_MS = 30 * 60_000;
const OUTPUT_BYTES = 64 * 1024 * 1024;

/** Runs a program to its end and gives what it printed. @throws Error with the end of what it said, when it fails. */
export async function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd = '.'): Promise<string> {
  const options = { env, cwd, timeout: LIMIT_MS, maxBuffer: OUTPUT_BYTES };
  try {
    return (await promisify(execFile)(file, args, options)).stdout;
  } catch (error) {
    const said = ['stdout', 'stderr'].map((name) => String(Object(error)[name] ?? '').slice(-2000)).join('\n');
    throw new Error(`${file} ${args.join(' ').slice(0, 200)} failed:\n${said}`, { cause: error });
  }
}

const POLL_MS = 200;

/** Asks again until there is an answer. @throws Error that names what did not come. */
export async function until<T>(ask: () => Promise<T | undefined>, what: string, seconds = 300): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
