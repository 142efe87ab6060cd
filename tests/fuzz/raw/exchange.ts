import { once } from 'node:events';
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly requestId: string | undefined;
  readonly body: string;
}

const DEADLINE_MS = 60_000;

/** Writes the pieces one after the other, closes this side, and reads until the other side has closed too. */
export async function exchange(url: string, pieces: readonly Uint8Array[]): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true, noDelay: true });
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => void (received += text));
  socket.on('error', () => undefined); // a reset is an end like any other
  socket.setTimeout(DEADLINE_MS, () => socket.destroy());
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  for (const piece of pieces) {
    if (socket.writable) socket.write(piece);
    // A turn of the loop for each piece, so that they leave in packets of their own.
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
  await closed;
  return received;
}

const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/;

/** The answers in what came over a connection; undefined when it is no row of whole answers. The last may be cut. */
export function answersIn(received: string): RawAnswer[] | undefined {
  const answers: RawAnswer[] = [];
  let rest = received;
  while (rest !== '') {
    const status = Number(STATUS_LINE.exec(rest)?.[1]);
    const headEnd = rest.indexOf('\r\n\r\n');
    if (Number.isNaN(status) || headEnd === -1) return undefined;
    const head = rest.slice(0, headEnd).toLowerCase();
    const { body, after } = bodyAt(rest.slice(headEnd + 4), head);
    if (status >= 200) answers.push({ status, requestId: /\r\nx-request-id: (.*)/.exec(head)?.[1], body });
    rest = after;
  }
  return answers;
}

function bodyAt(text: string, head: string): { body: string; after: string } {
  // An answer to HEAD has the length of a body, and none.
  if (STATUS_LINE.test(text)) return { body: '', after: text };
  const length = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0);
  if (!/\r\ntransfer-encoding: chunked/.test(head)) return { body: text.slice(0, length), after: text.slice(length) };
  const end = /(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(text);
  const length_ = end ? end.index + end[0].length : text.length;
  return { body: text.slice(0, length_), after: text.slice(length_) };
}
