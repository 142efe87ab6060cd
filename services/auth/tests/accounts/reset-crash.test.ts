import { expect, it } from '@jest/globals';
import { UserId } from '@tollgate/contracts';
import { createResetPassword } from '../../src/flows/accounts/reset-password.ts';

const NEVER = () => Promise.reject(new Error('the process died'));

it('proves no address with the password of whoever signed up with it, when the process dies in between', async () => {
  const id = UserId.parse('a'.repeat(24));
  const done: string[] = [];
  const account = {
    id,
    username: 'mallory',
    usernameKey: 'mallory',
    email: 'alice@example.test',
    emailKey: 'alice@example.test',
    isVerified: false,
    status: 'active',
    passwordHash: "mallory's",
  };
  const code = { userId: id, emailKey: account.emailKey };
  const resetPassword = createResetPassword({
    clock: { now: () => 0 },
    limits: { spend: async () => {}, check: async () => {} },
    devices: { read: () => undefined },
    secrets: { hashes: () => ['hash'] },
    rules: { minLength: 8, common: new Set(), needsMixture: false },
    passwords: { hash: async () => "alice's", matchesAny: async () => false },
    mailedCodes: { find: async () => code, take: async () => code },
    users: {
      find: async () => account,
      verify: async () => Boolean(done.push('verified')),
      setPassword: NEVER,
    },
  } as unknown as Parameters<typeof createResetPassword>[0]); // the process dies before it needs more
  const origin = { ip: '127.0.0.1', userAgent: '', requestId: '' };
  await expect(resetPassword('token', 'a-long-walk-in-the-rain', origin)).rejects.toThrow('the process died');
  expect(done).toEqual([]);
});
