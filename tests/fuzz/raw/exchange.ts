import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly requestId: string | undefined;
  readonly body: string;
}

const DEADLINE_MS = 60_000;
const PATIENCE_MS = 400;

/**
 * Writes the pieces one after the other and reads until the other side closes. What leaves the other side waiting is ended by
 * this one, after a while on which no verdict depends: a client that is half gone is answered no more.
 */
export async function exchange(url: string, pieces: readonly Uint8Array[], patienceMs = PATIENCE_MS): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => void (received += text));
  socket.on('error', () => undefined); // a reset is an end like any other
  socket.setTimeout(DEADLINE_MS, () => socket.destroy());
  // Not events.once, which fails with the reset.
  const closed = Promise.withResolvers<void>();
  const connected = Promise.withResolvers<void>();
  socket.once('close', () => (connected.resolve(), closed.resolve()));
  socket.once('connect', () => connected.resolve());
  await connected.promise;
  for (const piece of pieces) {
    if (socket.writable) socket.write(piece);
    // A turn of the loop for each piece, so that they leave in packets of their own.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const patience = setTimeout(() => socket.end(), patienceMs);
  await closed.promise;
  clearTimeout(patience);
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
