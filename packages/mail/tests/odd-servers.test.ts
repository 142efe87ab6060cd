import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createMailer } from '../src/index.ts';

const cleanUps: (() => unknown)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** A mailer for a server that does this with each connection. */
async function mailerFor(meet: (socket: Socket) => void) {
  const server = createServer((socket) => meet(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a listening TCP server has an address object
  const mailer = createMailer({ url: `smtp://127.0.0.1:${port}`, from: 'no-reply@example.test' });
  cleanUps.push(
    () => mailer.close(),
    () => server.close(),
  );
  return mailer;
}

describe('a letter is to be tried again when its server', () => {
  it.each([
    ['speaks something else', (socket: Socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['sends bytes that are no text', (socket: Socket) => void socket.end(Buffer.from([0, 255, 13, 10, 200, 10]))],
    ['hangs up without a word', (socket: Socket) => void socket.end()],
    ['greets and hangs up', (socket: Socket) => void socket.end('220 here\r\n')],
    ['has no time', (socket: Socket) => void socket.end('421 later\r\n')],
  ])('%s', async (_what, meet) => {
    const mailer = await mailerFor(meet);
    await expect(mailer.send({ to: 'a@example.test', subject: 'News', blocks: ['Hello'] })).rejects.toThrow();
  });
});
