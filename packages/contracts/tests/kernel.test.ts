import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import {
  ChatflowId,
  codeFromWire,
  Email,
  ERROR_CODES,
  type ErrorCode,
  HoldId,
  IdempotencyKey,
  operation,
  PageQuery,
  Problem,
  RoleInput,
  Timestamp,
  UserId,
  Username,
  Uuid,
  wireCode,
  withAliases,
} from '../src/index.ts';

const accepts = (schema: z.ZodType, values: readonly unknown[]) =>
  values.filter((value) => !schema.safeParse(value).success);
const refuses = (schema: z.ZodType, values: readonly unknown[]) =>
  values.filter((value) => schema.safeParse(value).success);

describe('Error codes', () => {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];

  it('are unique on the wire and come back as themselves', () => {
    expect(new Set(codes.map(wireCode)).size).toBe(codes.length);
    expect(codes.map((code) => codeFromWire(wireCode(code)))).toEqual(codes);
    for (const code of codes) expect(wireCode(code)).toMatch(/^[a-z]+(_[a-z]+)*$/);
  });

  it('have an error status that HTTP knows and a sentence without details', () => {
    for (const { status, title } of Object.values(ERROR_CODES)) {
      expect(status >= 400 && status < 600).toBe(true);
      expect(title).toMatch(/^[A-Z][^.{}:]+[^.]$/);
    }
  });

  it('are nothing that is not one of them', () => {
    for (const value of [
      '',
      'teapot',
      '__proto__',
      'constructor',
      'toString',
      null,
      undefined,
      5,
      ['not_found'],
      { code: 'not_found' },
    ])
      expect(codeFromWire(value)).toBeUndefined();
  });
});

describe('withAliases', () => {
  const Session = withAliases(z.strictObject({ sessionId: z.string(), note: z.string().optional() }), {
    session_id: 'sessionId',
    sid: 'sessionId',
  });

  it('reads either spelling as the one of the schema', () => {
    for (const sent of [{ sessionId: 'a' }, { session_id: 'a' }, { sid: 'a' }])
      expect(Session.parse(sent)).toEqual({ sessionId: 'a' });
  });

  it('prefers the name of the schema, whatever the order, and drops the other', () => {
    expect(Session.parse({ session_id: 'alias', sessionId: 'name' })).toEqual({ sessionId: 'name' });
    expect(Session.parse({ sessionId: 'name', session_id: 'alias' })).toEqual({ sessionId: 'name' });
    expect(Session.parse({ sid: 'second', session_id: 'first' })).toEqual({ sessionId: 'first' });
  });

  it('lets a wrong value under the right name win too, so that nothing slips past the schema', () => {
    expect(Session.safeParse({ sessionId: null, session_id: 'a' }).success).toBe(false);
    expect(Session.safeParse({ session_id: { $ne: null } }).success).toBe(false);
  });

  it('still refuses unknown fields, and anything but an object', () => {
    expect(
      refuses(Session, [
        { sid: 'a', role: 'admin' },
        JSON.parse('{"sid":"a","__proto__":{"x":1}}'),
        null,
        [],
        ['sid'],
        'sid',
        1,
        undefined,
      ]),
    ).toEqual([]);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('changes nothing else', () => {
    const Any = withAliases(z.record(z.string(), z.json()), { other: 'name' });
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().filter((key) => !['other', 'name', '__proto__'].includes(key)),
          // What zod's json() reads has no such key at any depth: it is left out, not set.
          fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__')),
        ),
        (sent) => {
          expect(Any.parse(sent)).toEqual({ ...sent });
        },
      ),
    );
  });
});

describe('Ids and names', () => {
  it('of users are 24 lower-case hex digits', () => {
    expect(accepts(UserId, ['0123456789abcdef01234567'])).toEqual([]);
    expect(
      refuses(UserId, [
        '0123456789ABCDEF01234567',
        'a'.repeat(23),
        'a'.repeat(25),
        `${'a'.repeat(24)}\n`,
        { $ne: null },
        ['a'.repeat(24)],
        '',
        null,
      ]),
    ).toEqual([]);
  });

  it('of holds are UUIDs, in lower case', () => {
    expect(HoldId.parse('0190B0A0-0000-7000-8000-00000000ABCD')).toBe('0190b0a0-0000-7000-8000-00000000abcd');
    expect(refuses(Uuid, ['0190b0a0', '', "' OR 1=1 --", '0190b0a0-0000-7000-8000-00000000abcd\n', null, {}])).toEqual(
      [],
    );
  });

  it('of chatflows are Flowise’s UUIDs or model names', () => {
    expect(
      accepts(ChatflowId, [
        '2f9d1f3c-9b1e-4c6c-8f53-9f2c0a1f0b11',
        'model:gpt-5.2-mini',
        'model:meta-llama/Llama-3@turbo',
      ]),
    ).toEqual([]);
    expect(refuses(ChatflowId, ['', 'a b', 'a\n', '<x>', 'a?b', '%2e', 'a'.repeat(201), { $gt: '' }, null])).toEqual(
      [],
    );
  });

  it('of roles are three, with one old name on input', () => {
    expect(RoleInput.parse('user')).toBe('enduser');
    expect(RoleInput.parse('admin')).toBe('admin');
    expect(refuses(RoleInput, ['Admin', 'root', '', null, ['admin'], { $in: ['admin'] }])).toEqual([]);
  });

  it('of users are never an address, and trimmed', () => {
    expect(accepts(Username, ['bob', 'Åse Ødegård', '李小龙', 'a.b-c_d', '007'])).toEqual([]);
    expect(Username.parse('  alice  ')).toBe('alice');
    expect(
      refuses(Username, [
        'ab',
        'bob@example.test',
        'a\u0000bc',
        'a\nbc',
        '.hidden',
        '-rf',
        '   ',
        'a'.repeat(65),
        { $ne: '' },
        ['bob'],
        '<b>bob</b>',
        'bob\u202egnp',
      ]),
    ).toEqual([]);
  });

  it('of mailboxes are one plain address', () => {
    expect(Email.parse('Bob.Smith+tag@Example.TEST')).toBe('bob.smith+tag@example.test');
    expect(
      refuses(Email, [
        'bob@example.test\r\nBcc: eve@example.test',
        '"bob bob"@example.test',
        'bob(comment)@example.test',
        'bob@@example.test',
        'a@example.test,b@example.test',
        'Bob <bob@example.test>',
        `${'a'.repeat(250)}@example.test`,
        'bob',
        '',
        { $regex: '.*' },
        ['bob@example.test'],
      ]),
    ).toEqual([]);
  });

  it('of effects are 1 to 255 printable ASCII characters', () => {
    expect(accepts(IdempotencyKey, ['k', ' ', '~', 'k'.repeat(255)])).toEqual([]);
    expect(refuses(IdempotencyKey, ['', 'k'.repeat(256), 'k\n', 'ä', '\t', 5, ['k']])).toEqual([]);
  });

  it('of moments are RFC 3339 in UTC', () => {
    expect(accepts(Timestamp, ['2030-01-01T00:00:00Z', '2030-01-01T00:00:00.123Z'])).toEqual([]);
    expect(refuses(Timestamp, ['2030-01-01', '2030-01-01T00:00:00', '2030-13-01T00:00:00Z', 'now', 0])).toEqual([]);
  });
});

it('A page has 50 rows unless asked otherwise and never more than 100', () => {
  expect(PageQuery.parse({})).toEqual({ limit: 50 });
  expect(PageQuery.parse({ limit: '100', cursor: 'abc' })).toEqual({ limit: 100, cursor: 'abc' });
  expect(
    refuses(PageQuery, [
      { limit: '101' },
      { limit: '0' },
      { limit: '-1' },
      { limit: '1.5' },
      { limit: 'all' },
      { limit: ['1', '2'] },
      { cursor: 'x'.repeat(513) },
      { cursor: ['a'] },
      { sort: 'name' },
    ]),
  ).toEqual([]);
});

it('An operation is the object it was declared with', () => {
  const spec = { id: 'x', method: 'GET', path: '/x', summary: 'x', permission: 'public', result: z.string() } as const;
  expect(operation(spec)).toBe(spec);
});

it('A problem document needs the sentence under each of its three names', () => {
  const problem = {
    type: 't',
    title: 't',
    status: 400,
    detail: 'd',
    code: 'c',
    requestId: 'r',
    error: 'd',
    message: 'd',
  };
  expect(Problem.safeParse(problem).success).toBe(true);
  for (const name of Object.keys(problem))
    expect(Problem.safeParse({ ...problem, [name]: undefined }).success).toBe(false);
});
