// Loaded into the runner and its workers before anything else (`--import`). Jest fails the test in which an error reaches the
// process, but passes over one that comes after the last test of a file, and repeats a file whose worker has died of one.
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAME = 'TOLLGATE_UNHANDLED_ERRORS';

if (process.env[NAME] === undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-unhandled-'));
  const file = join(folder, 'errors.log');
  process.env[NAME] = file;
  process.on('exit', () => {
    const errors = existsSync(file) ? readFileSync(file, 'utf8') : '';
    rmSync(folder, { recursive: true, force: true });
    if (errors === '') return;
    process.stderr.write(`\nErrors that nobody handled, so that this run has failed:\n${errors}`);
    process.exitCode = 1;
  });
}

process.on('uncaughtExceptionMonitor', (error, origin) => {
  appendFileSync(process.env[NAME], `${origin}: ${error instanceof Error ? error.stack : String(error)}\n`);
});
