import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  callJson,
  createPostgresDatabase,
  freePorts,
  mongoDatabaseUrl,
  startChat,
  type TestDatabase,
} from '@tollgate/test-kit';
import type { DevState } from '../../scripts/dev-platform/state.ts';

/** Nothing is asked of it: its models are listed here. */
const OWN_SERVER = {
  name: 'mine',
  kind: 'openai',
  baseUrl: 'http://127.0.0.1:9/v1',
  apiKey: '$MY_SERVER_KEY',
  models: ['own-model'],
};
let folder: string;
let database: TestDatabase;
let environment: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-dev-'));
  database = await createPostgresDatabase();
  const [auth, chatProxy, accounting] = await freePorts(3);
  environment = {
    TOLLGATE_FOLDER: folder,
    DATABASE_URL: database.url,
    MONGODB_URI: mongoDatabaseUrl(),
    AUTH_PORT: String(auth),
    CHAT_PROXY_PORT: String(chatProxy),
    ACCOUNTING_PORT: String(accounting),
    ALLOWED_ORIGINS: 'http://localhost:5173',
    UPSTREAMS: JSON.stringify({ servers: [OWN_SERVER] }),
    MY_SERVER_KEY: 'a key of the developer',
  };
});
afterAll(async () => {
  await dev('--stop');
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly output: string;
}

/** Runs what ./scripts/dev runs once the tool-chain is there. */
function dev(...args: string[]): Promise<Ended> {
  const { NODE_COMPILE_CACHE } = process.env;
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const options = {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NODE_COMPILE_CACHE, NO_COLOR: '1', ...environment },
    timeout: 90_000,
  };
  execFile(
    process.execPath,
    ['--conditions=tollgate', 'scripts/dev-platform/main.ts', ...args],
    options,
    (error, out, err) => resolve({ code: error ? Number(error.code ?? 1) : 0, output: out + err }),
  );
  return promise;
}

const state = async (): Promise<DevState> => JSON.parse(await readFile(join(folder, 'dev.json'), 'utf8')) as DevState;

async function talk({ urls, users, chatflows }: DevState): Promise<{ text: string; balance: number }> {
  const { username, password } = users.demo;
  const login = await callJson<{ access_token: string }>('POST', `${urls.chatProxy}/api/v1/chat/authenticate`, {
    body: { username, password },
  });
  const token = login.body.access_token;
  const chat = await startChat(`${urls.chatProxy}/api/v1/chat/predict/stream/store`, token, {
    question: 'Hello?',
    chatflow_id: chatflows[0]?.id ?? '',
  });
  await chat.toEnd();
  const balance = await callJson<{ totalCredits: number }>('GET', `${urls.accounting}/api/credits/balance`, { token });
  return { text: chat.text, balance: balance.body.totalCredits };
}

describe('./scripts/dev', () => {
  it('brings everything up, seeded and private, and tells how to talk to it', async () => {
    const { code, output } = await dev('--detach');
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('Tollgate is ready') });
    const first = await state();
    expect(output).toContain(`-d '{"username":"demo","password":"${first.users.demo.password}"}'`);
    expect((await stat(join(folder, 'dev.json'))).mode & 0o077).toBe(0);
    const { text, balance } = await talk(first);
    expect(text).not.toBe('');
    expect(balance).toBe(999);
  }, 120_000);

  it('hands the pages and the AI servers that its environment names on to the services', async () => {
    const { urls, chatflows } = await state();
    expect(chatflows.map(({ id }) => id)).toContain('model:own-model');
    for (const url of [urls.auth, urls.chatProxy, urls.accounting]) {
      const { headers } = await fetch(`${url}/health/live`, { headers: { origin: 'http://localhost:5173' } });
      expect(headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
    }
  });

  it('says that it already runs, and where', async () => {
    const { code, output } = await dev('--detach');
    expect(code).toBe(1);
    expect(output).toContain('already runs');
    expect(output).toContain('./scripts/dev --stop');
  });

  it('ends every process it started, and keeps users, passwords and credits for the next start', async () => {
    const before = await state();
    expect(await dev('--stop')).toMatchObject({ code: 0 });
    for (const url of Object.values(before.urls)) await expect(fetch(url)).rejects.toThrow();

    expect(await dev('--detach')).toMatchObject({ code: 0 });
    const after = await state();
    expect(after.users).toEqual(before.users);
    expect((await talk(after)).balance).toBe(998);
    await dev('--stop');
  }, 120_000);

  it('says which port is taken and how to choose another', async () => {
    const intruder = createServer();
    await new Promise<void>((resolve) => intruder.listen(Number(environment['ACCOUNTING_PORT']), '127.0.0.1', resolve));
    const { code, output } = await dev('--detach');
    await new Promise((resolve) => intruder.close(resolve));
    expect(code).toBe(1);
    expect(output).toContain(`Port ${environment['ACCOUNTING_PORT']} for accounting is taken`);
    expect(output).toContain('ACCOUNTING_PORT=');
  });
});
