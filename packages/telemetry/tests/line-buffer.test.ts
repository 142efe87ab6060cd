import { execFile } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { createLogger } from '../src/index.ts';
import { createLineBuffer } from '../src/line-buffer.ts';

/** Takes what is written, and answers for it only when it is let. */
function gate() {
  const writes: string[] = [];
  const held: (() => void)[] = [];
  let isOpen = false;
  const stream = new Writable({
    write(chunk, _encoding, done) {
      writes.push(String(chunk));
      if (isOpen) done();
      else held.push(done);
    },
  });
  const open = (): void => {
    isOpen = true;
    for (const done of held.splice(0)) done();
  };
  return { stream, writes, open };
}

describe('lines of a log', () => {
  it('go out in one write for each turn of the event loop, and an error at once with those before it', async () => {
    const { stream, writes, open } = gate();
    open();
    const logger = createLogger({ service: 'auth', destination: stream });
    for (const line of ['one', 'two', 'three']) logger.info(line);
    expect(writes).toEqual([]);
    await turn();
    await turn();
    expect(writes).toHaveLength(1);
    expect(writes[0]?.split('\n')).toHaveLength(4);
    logger.info('four');
    logger.error('five');
    expect(writes).toHaveLength(2);
    expect(writes[1]).toMatch(/"four".*\n.*"five".*\n$/);
    await logger.close();
    expect(writes).toHaveLength(2);
  });

  it('are held back within a bound for a destination that takes nothing, and the lost ones are counted', async () => {
    const { stream, writes, open } = gate();
    const lines = createLineBuffer({ destination: stream, lost: (count) => `lost ${count}`, mostWaiting: 10 });
    lines.add('under way', true);
    for (let line = 0; line < 5; line += 1) lines.add(`line ${line}`, false);
    open();
    await lines.close();
    expect(writes.join('')).toBe('under way\nline 0\nline 1\nlost 3\n');
  });

  it.each([
    ['its own end', 'process.exit(3);', 3],
    ['an error that nobody handled', 'throw new Error("canary of the test");', 1],
    [
      'a signal',
      'process.on("SIGTERM", () => process.exit(0)); process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000);',
      0,
    ],
    ['the end of all work', '', 0],
  ])('are all written when the process ends by %s, in their order', async (_how, end, code) => {
    const source = `
      import { createLogger } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
      const logger = createLogger({ service: 'auth' });
      logger.info('0');
      logger.error('1');
      await new Promise((resolve) => setImmediate(resolve));
      for (let line = 2; line < 2000; line += 1) logger[line % 500 === 0 ? 'error' : 'info'](String(line));
      ${end}`;
    const ended = await run(source);
    const messages = ended.text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).message]));
    expect(messages).toEqual(Array.from({ length: 2000 }, (_, line) => String(line)));
    expect(ended.code).toBe(code);
  });
});

function run(source: string): Promise<{ code: number; text: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number; text: string }>();
  const child = execFile(
    process.execPath,
    ['--conditions=tollgate', '--input-type=module', '-e', source],
    { maxBuffer: 10_000_000 },
    (_error, text) => resolve({ code: child.exitCode ?? -1, text }),
  );
  return promise;
}
