import { Writable } from 'node:stream';

/** Collects what a log writes, optionally slowly, as a stalled terminal would. */
export function collector({ isSlow = false } = {}) {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      if (isSlow) setImmediate(done);
      else done();
    },
  });
  return {
    stream,
    text: () => text,
    lines: (): Record<string, unknown>[] =>
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
  };
}
