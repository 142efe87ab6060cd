const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const paint = (code: number, text: string): string => (colour ? `\u001B[${code}m${text}\u001B[0m` : text);
const began = performance.now();

/** The launcher prints; the runner has no terminal and hands its lines to the launcher as long as there is one. */
export function print(text = ''): void {
  if (process.send && process.connected) process.send({ line: text });
  process.stdout.write(`${text}\n`);
}

export const secondsSinceStart = (): string => ((performance.now() - began) / 1000).toFixed(1);

/** One line per step, with the seconds since the start. */
export const step = (text: string): void => print(`${secondsSinceStart().padStart(6)}s  ${text}`);

export const heading = (text: string): string => paint(1, text);

/** A fault the person at the keyboard can do something about: printed without a stack. */
export class Trouble extends Error {}
