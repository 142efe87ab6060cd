import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { AppError, type UserCaller } from '@tollgate/http-kit';
import type { WireSocket } from '@tollgate/http-kit/socket';
import { newUserId } from '@tollgate/test-kit';
import { type ChatSockets, createChatSockets } from '../../src/routes/chat-sockets.ts';

const userId = newUserId() as UserCaller['userId'];
const caller: UserCaller = {
  kind: 'user',
  userId,
  username: 'u',
  email: 'u@example.test',
  role: 'enduser',
  token: 't',
  issuedAt: 0,
  expiresAt: 900_000,
};
const refused = (): never => {
  throw new AppError('INTERNAL');
};

/** A socket whose client does nothing that the test does not. */
function wire() {
  const events = new EventEmitter();
  const said: string[] = [];
  const closed: number[] = [];
  const socket: WireSocket = Object.assign(events, {
    bufferedAmount: 0,
    send: (text: string, sent: () => void) => {
      said.push(text);
      sent();
    },
    ping: () => undefined,
    close: (code: number) => void closed.push(code),
    terminate: () => void events.emit('close'),
  });
  return { socket, said, closed, hangUp: () => void events.emit('close') };
}

/** Sockets of users whose tokens are looked at when the test says so. */
function stage(mostPerUser: number): { sockets: ChatSockets; admit: () => Promise<void> } {
  let lookedAt = Promise.withResolvers<void>();
  const sockets = createChatSockets({
    admit: async () => {
      await lookedAt.promise;
      return caller;
    },
    spend: async () => undefined,
    chat: refused,
    stop: refused,
    resume: refused,
    settings: { authMs: 60_000, heartbeatMs: 60_000, stallMs: 60_000, mostAnswers: 1 },
    mostPerUser,
    allowedOrigins: [],
    now: () => 0,
    failed: () => undefined,
  });
  return {
    sockets,
    async admit() {
      lookedAt.resolve();
      await turn();
      lookedAt = Promise.withResolvers();
    },
  };
}
const visitor = { ip: '', origin: undefined, credential: 't' };

it('a client that has left before its token was looked at takes no place from its user', async () => {
  const { sockets, admit } = stage(1);
  for (let times = 0; times < 3; times += 1) {
    const gone = wire();
    sockets.open(gone.socket, visitor);
    gone.hangUp();
    await admit();
    expect(gone.said).toEqual([]);
  }
  const client = wire();
  sockets.open(client.socket, visitor);
  await admit();
  expect([client.said.length, client.closed]).toEqual([1, []]);
});
