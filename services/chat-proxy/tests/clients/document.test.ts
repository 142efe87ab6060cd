import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeKey } from '../fixtures/key-book.ts';
import { type Proxy, startProxy, until } from '../fixtures/proxy.ts';

const repository = new URL('../../../../', import.meta.url);
const document = readFileSync(new URL('docs/clients.md', repository), 'utf8');
const snippets = [...document.matchAll(/<!-- runs -->\n```(js|sh)\n(.*?)```/gs)].map(
  ([, language = '', text = '']) => ({
    language,
    text,
    title: text.split('\n')[0],
  }),
);

let proxy: Proxy;
let key: string;
beforeAll(async () => {
  proxy = await startProxy();
  const alice = await proxy.person({ balance: 100_000 });
  key = makeKey(alice.userId, ['chat:use']).text;
});
afterAll(() => proxy.stop());

/** As a reader would run it, in a process of its own and with packages as they are. */
function run({ language, text }: { language: string; text: string }): Promise<{ output: string; complaints: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ output: string; complaints: string }>();
  const own = text
    .replaceAll('https://chat.example.test', proxy.url)
    .replaceAll('wss://chat.example.test', proxy.url.replace('http', 'ws'))
    .replaceAll('<chatflow id>', proxy.flowise.chain.id)
    .replaceAll("'gpt-x'", "'priced'");
  const [program, ...args] =
    language === 'sh' ? ['sh', '-c', own] : [process.execPath, '--input-type=module', '-e', own];
  const options = { cwd: repository, env: { PATH: process.env.PATH, TOLLGATE_KEY: key }, timeout: 20_000 };
  execFile(program, args, options, (error, output, complaints) =>
    error ? reject(error) : resolve({ output, complaints }),
  );
  return promise;
}

describe('docs/clients.md', () => {
  it('has something that runs for every kind of client', () => {
    expect(snippets).toHaveLength(6);
  });

  it.each(snippets)('what begins with "$title" works as it stands, and is paid for', async (snippet) => {
    proxy.accounting.settlements.length = 0;
    const { output, complaints } = await run(snippet);
    expect(complaints).toBe('');
    expect(output).toMatch(/Echo|tollgate|plums/i);
    await until(() => proxy.accounting.openHolds() === 0);
    expect(proxy.accounting.settlements).not.toEqual([]);
    for (const settlement of proxy.accounting.settlements)
      expect(settlement).toMatchObject({ kind: 'settle', outcome: 'completed' });
  });
});
