import { createHash, randomBytes } from 'node:crypto';
import type { JsonText, Platform } from '@tollgate/test-kit';
import type { Found } from '../operations.ts';
import { exchange } from './exchange.ts';

interface FrameOptions {
  readonly opcode: number;
  readonly isLast?: boolean;
  readonly reserved?: number;
  readonly isMasked?: boolean;
  /** What the head says, when that is not how long the frame is. */
  readonly said?: bigint;
}

const [CONTINUED, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10] as const;
const MASK = Uint8Array.of(1, 2, 3, 4);

/** A frame of RFC 6455, section 5.2, right or wrong. */
function frame(
  payload: Uint8Array | string,
  { opcode, isLast = true, reserved = 0, isMasked = true, said }: FrameOptions,
): Uint8Array {
  const bytes = Buffer.from(payload);
  const length = said ?? BigInt(bytes.length);
  const head = [(isLast ? 0x80 : 0) | (reserved << 4) | opcode];
  const sign = isMasked ? 0x80 : 0;
  if (length < 126n) head.push(sign | Number(length));
  else if (length < 65_536n) head.push(sign | 126, ...bigEndian(length, 2));
  else head.push(sign | 127, ...bigEndian(length, 8));
  const body = isMasked ? bytes.map((byte, at) => byte ^ (MASK[at % 4] ?? 0)) : bytes;
  return Buffer.concat([Uint8Array.from(head), isMasked ? MASK : new Uint8Array(), body]);
}

const bigEndian = (value: bigint, size: number): number[] =>
  Array.from({ length: size }, (_, at) => Number((value >> BigInt(8 * (size - 1 - at))) & 0xffn));

const asText = (text: string | Uint8Array): Uint8Array => frame(text, { opcode: TEXT });
const status = (code: number): Uint8Array => Uint8Array.of(code >> 8, code & 0xff);

/** What may come over a socket, by name. */
const TRAFFIC: readonly (readonly [string, readonly Uint8Array[]])[] = [
  [
    'a text in three frames',
    [
      frame('{"ty', { opcode: TEXT, isLast: false }),
      frame('pe":', { opcode: CONTINUED, isLast: false }),
      frame('"x"}', { opcode: CONTINUED }),
    ],
  ],
  [
    'a ping between the frames of a text',
    [frame('{', { opcode: TEXT, isLast: false }), frame('x', { opcode: PING }), frame('}', { opcode: CONTINUED })],
  ],
  [
    'a text inside another',
    [frame('{', { opcode: TEXT, isLast: false }), asText('{}'), frame('}', { opcode: CONTINUED })],
  ],
  ['a continuation of nothing', [frame('{}', { opcode: CONTINUED })]],
  ['a text without a mask', [frame('{}', { opcode: TEXT, isMasked: false })]],
  [
    'each reserved bit',
    [
      frame('{}', { opcode: TEXT, reserved: 4 }),
      frame('{}', { opcode: TEXT, reserved: 2 }),
      frame('{}', { opcode: TEXT, reserved: 1 }),
    ],
  ],
  ['reserved opcodes', [frame('', { opcode: 3 })]],
  ['a reserved opcode of control', [frame('', { opcode: 11 })]],
  ['a binary message', [frame('{"type":"auth","token":"x"}', { opcode: BINARY })]],
  ['text that is no UTF-8', [asText(Uint8Array.of(0x22, 0xff, 0xfe, 0x22))]],
  ['half a surrogate pair in UTF-8', [asText(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22))]],
  [
    'a character cut between frames',
    [
      frame(Uint8Array.of(0x22, 0xf0, 0x9f), { opcode: TEXT, isLast: false }),
      frame(Uint8Array.of(0x98, 0x80, 0x22), { opcode: CONTINUED }),
    ],
  ],
  ['a ping that is too long', [frame(randomBytes(126), { opcode: PING })]],
  ['a ping in pieces', [frame('x', { opcode: PING, isLast: false })]],
  ['a pong that nobody asked for', [frame('x', { opcode: PONG })]],
  ['200 pings', Array.from({ length: 200 }, () => frame('x', { opcode: PING }))],
  ['a message that says it is 2^62 bytes', [frame('x', { opcode: TEXT, said: 2n ** 62n })]],
  ['a message that says it is 2^63 bytes', [frame('x', { opcode: TEXT, said: 2n ** 63n })]],
  ['a message that says it is 1 GB', [frame('x', { opcode: TEXT, said: 2n ** 30n })]],
  ['a message longer than allowed', [asText('x'.repeat(200_000))]],
  [
    'many small frames of one message',
    [
      frame('"', { opcode: TEXT, isLast: false }),
      ...Array.from({ length: 2000 }, () => frame('xxxxxxxxxxxxxxxxxxxx', { opcode: CONTINUED, isLast: false })),
    ],
  ],
  [
    'empty frames without end',
    [
      frame('', { opcode: TEXT, isLast: false }),
      ...Array.from({ length: 500 }, () => frame('', { opcode: CONTINUED, isLast: false })),
    ],
  ],
  ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535].map(
    (code) => [`a close with ${code}`, [frame(status(code), { opcode: CLOSE })]] as const,
  ),
  ['a close of one byte', [frame(Uint8Array.of(3), { opcode: CLOSE })]],
  ['a close whose reason is no UTF-8', [frame(Uint8Array.of(3, 232, 0xff), { opcode: CLOSE })]],
  ['a close, and then a text', [frame(status(1000), { opcode: CLOSE }), asText('{}')]],
  ['no frame at all', [Buffer.from('GET / HTTP/1.1\r\n\r\n')]],
  ['a text cut in its head', [asText('{}').subarray(0, 1)]],
];

const UPGRADE = [
  'GET /api/v1/chat/ws HTTP/1.1',
  'Host: x',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
];
const upgrade = (headers: readonly string[]): Uint8Array => Buffer.from([...UPGRADE, ...headers, '', ''].join('\r\n'));
const KEY = randomBytes(16).toString('base64');
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** Everything that may come over a socket, as somebody unknown and as a user: the process lives on and speaks no nonsense. */
export async function fuzzFrames(
  platform: Platform,
  jsonTexts: readonly JsonText[],
): Promise<{ sent: number; found: Found[] }> {
  const person = await platform.user({ credits: 1 });
  const found: Found[] = [];
  const auth = asText(JSON.stringify({ type: 'auth', token: person.accessToken }));
  const texts = jsonTexts.map(({ name, bytes }) => [name, [asText(bytes)]] as const);
  const cases = [...TRAFFIC, ...texts].flatMap(
    ([name, frames]) =>
      [
        [name, frames],
        [`${name}, from a user`, [auth, ...frames]],
      ] as const,
  );
  const AT_ONCE = 10;
  for (let at = 0; at < cases.length; at += AT_ONCE) {
    await Promise.all(
      cases.slice(at, at + AT_ONCE).map(async ([name, frames]) => {
        const received = await exchange(platform.urls.chatProxy, [upgrade([`Sec-WebSocket-Key: ${KEY}`]), ...frames]);
        const isUpgraded = received.startsWith('HTTP/1.1 101 ') && received.includes(ACCEPT);
        const what = isUpgraded ? faultIn(received) : 'the socket was not opened';
        if (what !== undefined)
          found.push({
            operation: 'chat-proxy openChatSocket',
            what: `${name}: ${what}`,
            example: received.slice(-300),
          });
      }),
    );
  }
  const { status: health } = await person.chatProxy('GET', '/api/v1/chat/sessions');
  if (health !== 200)
    found.push({ operation: 'chat-proxy openChatSocket', what: `afterwards answers ${health}`, example: '' });
  return { sent: cases.length, found };
}

const INTERNAL_ERROR = String.fromCharCode(1011 >> 8, 1011 & 0xff);

/** A failure of ours, told as `internal` or by the close code that RFC 6455 keeps for it. */
function faultIn(received: string): string | undefined {
  const frames = received.slice(received.indexOf('\r\n\r\n') + 4);
  if (frames.includes('"internal"')) return 'a failure of ours';
  const isFailure = frames.split('\x88').some((close) => close.slice(1, 3) === INTERNAL_ERROR);
  return isFailure ? 'closed with 1011' : undefined;
}
