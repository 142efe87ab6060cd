import { afterEach, expect, it } from '@jest/globals';
import { manualClock } from '@tollgate/test-kit';
import { createDeliverMail } from '../../src/flows/deliver-mail.ts';
import type { LeasedMail } from '../../src/ports.ts';
import { Auth, codeIn, newPerson, tokenIn } from '../auth.ts';

let auth: Auth | undefined;
afterEach(() => auth?.stop());

const HOUR_MS = 3_600_000;

it('are tried for 24 hours with pauses that double, given up once, and that is put down', async () => {
  const clock = manualClock();
  const began = clock.now();
  const order = { kind: 'already-registered', email: 'bob@example.test' } as const;
  let waiting: (LeasedMail & { dueAt: number }) | undefined = {
    id: 'm',
    leaseId: 'l',
    attempts: 0,
    orderedAt: new Date(began),
    order,
    dueAt: began,
  };
  const pauses: number[] = [];
  const recorded: unknown[] = [];
  const deliver = createDeliverMail({
    clock,
    times: { leaseMs: 120_000, firstRetryMs: 5000, lastRetryMs: HOUR_MS, giveUpMs: 24 * HOUR_MS },
    publicBaseUrl: 'https://chat.example.test',
    mailer: { send: () => Promise.reject(new Error('away')) },
    mailQueue: {
      lease: async () => waiting,
      remove: async () => {
        waiting = undefined;
      },
      retryAt: async (mail: LeasedMail, at: Date) => {
        pauses.push((at.getTime() - clock.now()) / 1000);
        waiting = { ...mail, attempts: mail.attempts + 1, dueAt: at.getTime() };
      },
    },
    events: { record: async (event: unknown) => void recorded.push(event) },
  } as unknown as Parameters<typeof createDeliverMail>[0]); // this mail needs no more
  while (waiting) {
    clock.set(waiting.dueAt);
    await deliver();
  }
  expect(pauses.slice(0, 10)).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560]);
  expect(Math.max(...pauses)).toBe(HOUR_MS / 1000);
  const hours = (clock.now() - began) / HOUR_MS;
  expect(hours > 22 && hours <= 24).toBe(true);
  const facts = { kind: order.kind, reason: 'timeout', attempts: pauses.length + 1 };
  expect(recorded).toEqual([{ action: 'mail.given-up', facts }]);
});

it('puts a code right behind "verification code" and a token right behind "token", in text and in HTML', async () => {
  auth = await Auth.start();
  const bob = newPerson('bob');
  await auth.signUp(bob);
  const mail = await auth.mails.waitForMail(bob.email);
  const code = codeIn(mail);
  for (const part of [mail.text, mail.html]) expect(part).toMatch(new RegExp(`verification code:? ${code}\\b`, 'i'));
  await auth.post('/api/auth/verify-email', { token: code });
  await auth.post('/api/auth/forgot-password', { email: bob.email });
  const reset = await auth.mails.waitForMail(bob.email, ({ text }) => text.includes('token'));
  const token = tokenIn(reset);
  for (const part of [reset.text, reset.html]) expect(part).toMatch(new RegExp(`token:? ${token}\\b`, 'i'));
  for (const link of [...mail.links, ...reset.links]) expect(link).toMatch(/^https:\/\/chat\.example\.test\//);
});
