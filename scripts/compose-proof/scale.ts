import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Person, SmtpSink } from '@tollgate/test-kit';
import { ask, booksOf, closedBooks, converse, endingOf } from './conversation.ts';
import { forwardTls } from './forward.ts';
import { isLedgerRight, pause } from './kills.ts';
import { until } from './programs.ts';
import type { Stack } from './stack.ts';

const EDGE_PORT = 8443;
export const PUBLIC_HOST = 'tollgate.example.test';
/** What answers at the port of each service, by the log of nginx. */
const PORTS = [3000, 8000, 3001] as const;
const SECOND = ['auth-2', 'chat-proxy-2', 'accounting-2'];
const KILLED = ['auth', 'chat-proxy', 'accounting'] as const;

export interface Scaled {
  readonly upSeconds: number;
  readonly charged: number;
  /** How many instances behind each port of a service have answered. */
  readonly instances: readonly number[];
  /** From the kill of one of two instances to the end of the next whole answer, while it was still down. */
  readonly kills: readonly { readonly service: string; readonly secondsToAnswer: number; readonly running: string }[];
  readonly ledger: boolean;
}

/** Two instances of every service behind nginx with TLS: a conversation through it, and one of two killed while it goes on. */
export async function proveScale(stack: Stack, admin: Person, mails: SmtpSink): Promise<Scaled> {
  const began = performance.now();
  await stack.compose('--profile=scale', 'up', '--detach', '--no-build', '--wait', ...SECOND, 'edge');
  const upSeconds = (performance.now() - began) / 1000;
  const door = forwardTls(EDGE_PORT, PUBLIC_HOST, await stack.secret('edge_certificate')).listen(0, '127.0.0.1');
  await once(door, 'listening');
  const origin = `http://127.0.0.1:${(door.address() as AddressInfo).port}`;
  const urls = { auth: origin, chatProxy: origin, accounting: origin };
  const books = await booksOf(stack);
  try {
    const { person, chatflow, charged } = await converse(admin, mails, books, urls);
    const kills = [];
    for (const service of KILLED) {
      const answer = await person.chat({ question: 'Tell me at length what a toll gate does', chatflow_id: chatflow });
      await answer.until('token', 3);
      let secondsToAnswer = 0;
      await stack.kill(service, async () => {
        const start = performance.now();
        const again = async () => ask(await person.logIn(), chatflow);
        await until(() => again().catch(pause), `an answer without one ${service}`);
        secondsToAnswer = (performance.now() - start) / 1000;
      });
      await answer.toEnd();
      kills.push({ service, secondsToAnswer, running: endingOf(answer) });
    }
    await closedBooks(books, person.userId);
    return { upSeconds, charged, instances: await instancesSeen(stack), kills, ledger: await isLedgerRight(stack) };
  } finally {
    await books.close();
    door.close();
  }
}

async function instancesSeen(stack: Stack): Promise<number[]> {
  const log = await stack.compose('logs', '--no-color', '--no-log-prefix', 'edge');
  const seen = new Set([...log.matchAll(/\d+(?:\.\d+){3}:\d+/g)].map(([address]) => address));
  return PORTS.map((port) => [...seen].filter((address) => address.endsWith(`:${port}`)).length);
}
