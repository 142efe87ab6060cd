/**
 * Prints the path of the mongod that mongodb-memory-server has, or nothing; told to download, it fetches one. A program
 * of its own, because a download that hangs can then be ended and the caller need not load the library.
 */
import { argv, env, stderr, stdout } from 'node:process';

import dryBinary from 'mongodb-memory-server-core/lib/util/DryMongoBinary.js';
import binary from 'mongodb-memory-server-core/lib/util/MongoBinary.js';
import downloadUrl from 'mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl.js';

const PROBE_MS = 2_500;

const [downloadDir = '', task] = argv.slice(2);
const options = await dryBinary.DryMongoBinary.generateOptions({ downloadDir });
if (task === 'download') {
  const url = await new downloadUrl.MongoBinaryDownloadUrl(options).getDownloadUrl();
  if (await mayAnswer(url)) stdout.write(await binary.MongoBinary.getPath({ ...options, checkMD5: true }));
} else {
  stdout.write((await dryBinary.DryMongoBinary.locateBinary(options)) ?? '');
}

/** The library itself would try for minutes on a machine without a network. */
async function mayAnswer(url: string): Promise<boolean> {
  // Behind a proxy only the library knows the way.
  if (env['https_proxy'] ?? env['HTTPS_PROXY']) return true;
  try {
    await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(PROBE_MS) });
    return true;
  } catch {
    stderr.write(`${new URL(url).host} does not answer\n`);
    process.exitCode = 1;
    return false;
  }
}
