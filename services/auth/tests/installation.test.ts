import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { readAuthConfig } from '../src/config.ts';
import { migrate } from '../src/migrate.ts';
import { MIGRATIONS } from '../src/store/migrations.ts';
import { Auth, codeIn, environment, newPerson, PASSWORD } from './auth.ts';

let auth: Auth | undefined;
afterEach(async () => {
  await auth?.stop();
  auth = undefined;
});

describe('the seed', () => {
  it('makes the first administrator once, and leaves a password alone that its owner chose', async () => {
    auth = await Auth.start();
    const root = { ...newPerson('root'), role: 'admin' } as const;
    const { userId } = await auth.ensureUser(root);
    expect(await auth.ensureUser({ ...root, password: 'quite-another-walk' })).toEqual({ userId, isNew: false });
    expect((await auth.logIn(root.username, PASSWORD)).body.user).toMatchObject({
      id: userId,
      role: 'admin',
      isVerified: true,
    });
    await expect(auth.ensureUser({ ...newPerson('weak'), password: 'password', role: 'admin' })).rejects.toThrow(
      'common',
    );
  });

  it('does not hand an administrator’s account to whoever signed up with the address before', async () => {
    auth = await Auth.start();
    const root = newPerson('root');
    await auth.signUp({ ...root, password: 'the-squatters-walk' });
    await auth.ensureUser({ ...root, role: 'admin' });
    expect((await auth.logIn(root.username, 'the-squatters-walk')).status).toBe(401);
    expect((await auth.logIn(root.username, PASSWORD)).body.user['role']).toBe('admin');
  });
});

describe('migrations', () => {
  it('run once, also when several processes start at the same time, and refuse a newer database', async () => {
    auth = await Auth.start();
    await auth.db.dropDatabase();
    const config = readAuthConfig(auth.env);
    const taken = await Promise.all([migrate(config), migrate(config), migrate(config)]);
    expect(taken.flat()).toEqual(MIGRATIONS.map(({ name }) => name));
    await auth.db.collection<{ _id: string }>('migrations').insertOne({ _id: '9999-from-the-future' });
    await expect(migrate(config)).rejects.toThrow('9999-from-the-future');
  });
});

describe('an account that nobody verified', () => {
  it('gives its name and address free after its time', async () => {
    const clock = manualClock();
    auth = await Auth.start({ clock });
    const bob = newPerson('bob');
    const first = await auth.signUp(bob);
    await auth.mails.waitForMail(bob.email);
    clock.advance(7 * 86_400_000);
    auth.mails.clear();
    const second = await auth.signUp(bob);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body.userId).not.toBe(first.body.userId);
    expect(
      (await auth.post('/api/auth/verify-email', { token: codeIn(await auth.mails.waitForMail(bob.email)) })).status,
    ).toBe(200);
  });
});

describe('a process whose database is away', () => {
  it('is live but not ready, answers 503, and stops cleanly', async () => {
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
    const env = {
      ...environment({ smtpUrl: 'smtp://127.0.0.1:1' }),
      MONGODB_URI: 'mongodb://127.0.0.1:1/auth',
      PORT: '0',
      MIGRATE_ON_START: 'true',
    };
    const child = spawn(process.execPath, ['--conditions=tollgate', main], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close');
    try {
      const url = `http://127.0.0.1:${await listeningPort(child.stdout)}`;
      expect((await fetch(`${url}/health/live`)).status).toBe(200);
      expect((await fetch(`${url}/health/ready`)).status).toBe(503);
      const body = JSON.stringify({ username: 'alice', password: PASSWORD });
      const login = await fetch(`${url}/api/auth/login`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      });
      expect([login.status, login.headers.get('retry-after')]).toEqual([503, '2']);
    } finally {
      child.kill('SIGTERM');
    }
    expect(await ended).toEqual([0, null]);
  });
});

async function listeningPort(stdout: NodeJS.ReadableStream): Promise<number> {
  for await (const line of createInterface({ input: stdout })) {
    const { message, port } = JSON.parse(line) as { message: string; port: number };
    if (message === 'listening') return port;
  }
  throw new Error('the process ended before it listened');
}
