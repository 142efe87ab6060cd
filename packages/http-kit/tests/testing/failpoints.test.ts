import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { createFailpoints } from '@tollgate/http-kit/failpoints';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollgate-failpoints-'));
  file = join(folder, 'points');
});
afterEach(() => rmSync(folder, { recursive: true }));

const reached = () => (existsSync(`${file}.reached`) ? readFileSync(`${file}.reached`, 'utf8') : '');

it('keeps whom it waits for at the place until that is taken back, and nobody else', async () => {
  const points = createFailpoints(file);
  await points.reach('s3', 'alice');
  writeFileSync(file, 's3 pause alice\ns4 stop alice\n');
  await points.reach('s3', 'bob');
  await points.reach('s2', 'alice');
  await points.reach('s4', 'alice');
  expect(reached()).toBe('');

  let isHeld = true;
  const waiting = points.reach('s3', 'alice').then(() => (isHeld = false));
  expect(reached()).toBe('s3 alice\n');
  await new Promise((resolve) => setImmediate(resolve));
  expect(isHeld).toBe(true);
  rmSync(file);
  await waiting;
});

it('kills the process without warning, and says before that it was there', () => {
  writeFileSync(file, 's6 abort alice\n');
  const program = `
    import { createFailpoints } from '@tollgate/http-kit/failpoints';
    process.on('exit', () => console.log('tidied up'));
    const points = createFailpoints(${JSON.stringify(file)});
    await points.reach('s5', 'alice');
    console.log('lives');
    await points.reach('s6', 'alice');
    console.log('lives on');`;
  const ended = spawnSync(process.execPath, ['--conditions=tollgate', '--input-type=module', '-e', program]);
  expect({ signal: ended.signal, said: ended.stdout.toString() }).toEqual({ signal: 'SIGKILL', said: 'lives\n' });
  expect(reached()).toBe('s6 alice\n');
});
