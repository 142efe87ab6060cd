import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { eventually } from '@tollgate/test-kit';
import { tamperedHolds } from '../services/accounting/src/failpoints-deps.ts';
import { createTampering } from '../services/chat-proxy/src/deps/failpoints.ts';

// That a service in production does not start with FAILPOINTS: start-secrets.test.ts.

it('puts nothing between flows and ports when no file of failpoints is named', () => {
  const ports = [{}, {}, {}, {}] as never[];
  const { stores, accounting, upstreams } = createTampering(undefined);
  expect(stores(ports[0] as never)).toBe(ports[0]);
  expect(accounting(ports[1] as never)).toBe(ports[1]);
  expect(upstreams(ports[2] as never)).toBe(ports[2]);
  expect(tamperedHolds(ports[3] as never, undefined)).toBe(ports[3]);
});

it.each([
  ['all at once', [30]],
  ['in two reads that part in the middle', [12, 18]],
  ['in two reads that part there', [20, 10]],
  ['one by one', Array(30).fill(1)],
])('the place in the middle of an answer is behind its twentieth part, when they come %s', async (_how, reads) => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-places-'));
  const file = join(folder, 'points');
  writeFileSync(file, 's5 pause \n');
  const server = {
    async *answer() {
      let given = 0;
      for (const count of reads as number[]) yield Array.from({ length: count }, () => (given += 1));
    },
  };
  const { upstreams } = createTampering(file);
  const tampered = upstreams({ servers: new Map([['one', server]]) } as never).servers.get('one');
  const taken: unknown[] = [];
  const taking = (async () => {
    for await (const parts of tampered?.answer({} as never, {} as never, 1, new AbortController().signal) ?? [])
      taken.push(...parts);
  })();
  await eventually(async () => (existsSync(`${file}.reached`) ? true : undefined), 'the place');
  expect(taken).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
  rmSync(folder, { recursive: true });
  await taking;
  expect(taken).toHaveLength(30);
});
