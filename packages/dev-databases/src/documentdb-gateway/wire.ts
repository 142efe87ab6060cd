/** MongoDB wire protocol: message framing, OP_MSG and the legacy OP_QUERY that drivers may open a connection with. */

/** What hello announces; a longer message ends the connection. */
export const MAX_MESSAGE_BYTES = 48_000_000;
const HEADER_BYTES = 16;
const SMALLEST_DOCUMENT_BYTES = 5;

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;

const CHECKSUM_PRESENT = 1;
const MORE_TO_COME = 2;
const CHECKSUM_BYTES = 4;
/** Optional flag bits are 16 and up; an unknown lower one must be refused. */
const REQUIRED_FLAGS = 0xff_ff;

export class ProtocolError extends Error {
  override name = 'ProtocolError';
}

export type Message = {
  requestId: number;
  isLegacy: boolean;
  /** false for unacknowledged writes. */
  wantsReply: boolean;
  body: Buffer;
  /** OP_MSG sections of kind 1: identifier to documents, one after the other. */
  sequences: ReadonlyMap<string, Buffer>;
};

/** @returns a function that takes bytes as they arrive and returns the messages completed by them. */
export function createFrameReader(): (chunk: Buffer) => Buffer[] {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  return (chunk) => {
    waiting.push(chunk);
    waitingBytes += chunk.length;
    const frames: Buffer[] = [];
    for (;;) {
      const length = frameLength(waiting, waitingBytes);
      if (length === undefined || waitingBytes < length) return frames;
      const bytes = waiting.length === 1 && waiting[0] ? waiting[0] : Buffer.concat(waiting);
      frames.push(bytes.subarray(0, length));
      waiting = bytes.length > length ? [bytes.subarray(length)] : [];
      waitingBytes -= length;
    }
  };
}

function frameLength(waiting: Buffer[], waitingBytes: number): number | undefined {
  if (waitingBytes < HEADER_BYTES) return undefined;
  if ((waiting[0]?.length ?? 0) < HEADER_BYTES) waiting.splice(0, waiting.length, Buffer.concat(waiting));
  const length = waiting[0]?.readInt32LE(0) ?? 0;
  if (length < HEADER_BYTES || length > MAX_MESSAGE_BYTES) throw new ProtocolError(`message of ${length} bytes`);
  return length;
}

/** @throws ProtocolError when the frame is of another kind or its lengths do not add up. */
export function parseFrame(frame: Buffer): Message {
  const opCode = frame.readInt32LE(12);
  if (opCode === OP_MSG) return parseMsg(frame);
  if (opCode === OP_QUERY) return parseQuery(frame);
  throw new ProtocolError(`opcode ${opCode}`);
}

function parseMsg(frame: Buffer): Message {
  const flags = frame.readUInt32LE(HEADER_BYTES);
  if ((flags & REQUIRED_FLAGS & ~(CHECKSUM_PRESENT | MORE_TO_COME)) !== 0) throw new ProtocolError(`flags ${flags}`);
  const end = frame.length - (flags & CHECKSUM_PRESENT ? CHECKSUM_BYTES : 0);
  const sequences = new Map<string, Buffer>();
  let body: Buffer | undefined;
  for (let at = HEADER_BYTES + 4; at < end; ) {
    const kind = frame[at];
    const section = sized(frame, at + 1, end);
    at += 1 + section.length;
    if (kind === 0 && body === undefined) body = section;
    else if (kind === 1) addSequence(sequences, section);
    else throw new ProtocolError(`section of kind ${kind}`);
  }
  if (body === undefined) throw new ProtocolError('message without a body');
  const requestId = frame.readInt32LE(4);
  return { requestId, isLegacy: false, wantsReply: (flags & MORE_TO_COME) === 0, body, sequences };
}

function addSequence(sequences: Map<string, Buffer>, section: Buffer): void {
  const nameEnd = section.indexOf(0, 4);
  if (nameEnd < 0) throw new ProtocolError('document sequence without a name');
  sequences.set(section.toString('utf8', 4, nameEnd), section.subarray(nameEnd + 1));
}

function parseQuery(frame: Buffer): Message {
  const nameEnd = frame.indexOf(0, HEADER_BYTES + 4);
  if (nameEnd < 0) throw new ProtocolError('query without a collection');
  const body = sized(frame, nameEnd + 1 + 8, frame.length);
  return { requestId: frame.readInt32LE(4), isLegacy: true, wantsReply: true, body, sequences: new Map() };
}

/** The part that begins with its own length, as documents and sections do. */
function sized(bytes: Buffer, at: number, end: number): Buffer {
  const length = at + 4 <= end ? bytes.readInt32LE(at) : 0;
  if (length < SMALLEST_DOCUMENT_BYTES || at + length > end) throw new ProtocolError(`part of ${length} bytes`);
  return bytes.subarray(at, at + length);
}

let lastReplyId = 0;

/** Frames one reply document as the kind of message the request was. */
export function encodeReply(request: Message, document: Uint8Array): Buffer {
  const prefixBytes = request.isLegacy ? 20 : 5;
  const reply = Buffer.alloc(HEADER_BYTES + prefixBytes + document.length);
  lastReplyId = (lastReplyId + 1) & 0x7f_ff_ff_ff;
  reply.writeInt32LE(reply.length, 0);
  reply.writeInt32LE(lastReplyId, 4);
  reply.writeInt32LE(request.requestId, 8);
  reply.writeInt32LE(request.isLegacy ? OP_REPLY : OP_MSG, 12);
  // OP_REPLY: flags, cursor id, starting from, number returned. OP_MSG: flags and the kind of the only section.
  if (request.isLegacy) reply.writeInt32LE(1, HEADER_BYTES + 16);
  reply.set(document, HEADER_BYTES + prefixBytes);
  return reply;
}

/** Splits documents that stand one after the other. @throws ProtocolError when their lengths do not add up. */
export function splitDocuments(bytes: Buffer): Buffer[] {
  const documents: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const document = sized(bytes, at, bytes.length);
    documents.push(document);
    at += document.length;
  }
  return documents;
}
