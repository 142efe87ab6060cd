import { expect, it } from '@jest/globals';
import { deserialize, serialize } from 'bson';
import fc from 'fast-check';

import {
  createFrameReader,
  encodeReply,
  MAX_MESSAGE_BYTES,
  parseFrame,
  ProtocolError,
  splitDocuments,
} from '../src/documentdb-gateway/wire.ts';
import { legacyQueryOf, messageOf } from './raw-connection.ts';

it('reads the same messages however the network cuts them', () => {
  const texts = fc.array(fc.string(), { minLength: 1, maxLength: 5 });
  const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });
  fc.assert(
    fc.property(texts, cuts, (sent, sizes) => {
      const bytes = Buffer.concat(sent.map((text) => messageOf({ text })));
      const read = createFrameReader();
      const received: string[] = [];
      for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
        const size = sizes[turn % sizes.length] ?? 1;
        for (const frame of read(bytes.subarray(at, at + size)))
          received.push(deserialize(parseFrame(frame).body)['text']);
        at += size;
      }
      expect(received).toEqual(sent);
    }),
  );
});

it('never reads past the end of a message, whatever is in it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 5, maxLength: 200 }), fc.constantFrom(2013, 2004), (content, opCode) => {
      const frame = Buffer.concat([Buffer.alloc(16), content]);
      frame.writeInt32LE(frame.length, 0);
      frame.writeInt32LE(opCode, 12);
      const outcome = attempt(() => parseFrame(frame).body.length <= content.length);
      expect(outcome === true || outcome instanceof ProtocolError).toBe(true);
    }),
  );
});

it('refuses lengths that no message can have', () => {
  for (const length of [-1, 0, 15, MAX_MESSAGE_BYTES + 1]) {
    const header = Buffer.alloc(16);
    header.writeInt32LE(length, 0);
    expect(() => createFrameReader()(header)).toThrow(ProtocolError);
  }
});

it('takes documents from sequences and leaves a checksum out', () => {
  const document = serialize({ _id: 1 });
  const section = Buffer.concat([Buffer.alloc(4), Buffer.from('documents\0'), document, document]);
  section.writeInt32LE(section.length, 0);
  const frame = Buffer.concat([messageOf({ insert: 'things' }), Buffer.from([1]), section, Buffer.from([1, 2, 3, 4])]);
  frame.writeInt32LE(frame.length, 0);
  frame.writeInt32LE(1, 16);
  const message = parseFrame(frame);
  expect(splitDocuments(message.sequences.get('documents') ?? Buffer.alloc(0))).toHaveLength(2);
  expect(message.wantsReply).toBe(true);
});

it('answers each kind of message in its own kind', () => {
  const document = serialize({ ok: 1 });
  const modern = encodeReply(parseFrame(messageOf({ ping: 1 })), document);
  expect([modern.readInt32LE(8), modern.readInt32LE(12), deserialize(modern.subarray(21))]).toEqual([
    7,
    2013,
    { ok: 1 },
  ]);
  const legacy = encodeReply(parseFrame(legacyQueryOf({ ismaster: 1 })), document);
  expect([legacy.readInt32LE(8), legacy.readInt32LE(12), legacy.readInt32LE(32)]).toEqual([7, 1, 1]);
});

function attempt(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}
