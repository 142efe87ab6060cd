import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { redact } from '../src/index.ts';
import { maskEach, maskText } from '../src/redaction-rules.ts';

const CANARY = `canary-${randomBytes(8).toString('hex')}`;
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.dBjftJeZ4CVPmB92K27uhbUJU1p1r';
const shown = (value: unknown, options?: { showPrompts?: boolean }) => JSON.stringify(redact(value, options));

describe('secrets by the name of their key', () => {
  it.each([
    'password',
    'newPassword',
    'PASSWORD_HASH',
    'token',
    'accessToken',
    'refresh_token',
    'x-auth-token',
    'tokens',
    'authorization',
    'Proxy-Authorization',
    'cookie',
    'set-cookie',
    'cookies',
    'clientSecret',
    'JWT_ACCESS_SECRET',
    'apiKey',
    'x-api-key',
    'api_key',
    'privateKey',
    'totp',
    'otpCode',
    'backupCodes',
    'cardNumber',
    'cvc',
    'credentials',
    'DATABASE_URL',
    'question',
    'prompt',
    'systemPrompt',
    'history',
    'messages',
    'uploads',
    'content',
    'body',
    'overrideConfig',
  ])('hides what is under %s at any depth and of any shape', (key) => {
    const values = [CANARY, [CANARY], { inner: CANARY }, new Map([['x', CANARY]]), Buffer.from(CANARY)];
    for (const value of values) {
      expect(shown({ a: [{ b: { [key]: value } }] })).not.toContain(CANARY);
    }
  });

  it('keeps counts, flags and absences, because they are no secrets', () => {
    const usage = {
      inputTokens: 5,
      output_tokens: 7,
      promptTokens: 3,
      hasPassword: true,
      token: null,
      historyLength: 2,
    };
    expect(redact(usage)).toEqual({ ...usage });
  });

  it('hides a number that is itself the secret', () => {
    expect(redact({ otp: 123_456, pin: 1234, cvc: 999, code: 'NOT_FOUND' })).toEqual({
      otp: '[redacted]',
      pin: '[redacted]',
      cvc: '[redacted]',
      code: 'NOT_FOUND',
    });
  });

  it('shows prompts, and still no secret, when asked to', () => {
    expect(redact({ question: 'why?', password: CANARY }, { showPrompts: true })).toEqual({
      question: 'why?',
      password: '[redacted]',
    });
  });
});

describe('secrets by their look inside any text', () => {
  it.each([
    `Bearer ${CANARY}`,
    `authorization: Basic ${CANARY}`,
    `failed with BEARER   ${CANARY} in it`,
    `Basic ${Buffer.from(`alice:${CANARY}`).toString('base64')}`,
    `token=${CANARY}`,
    `?access_token=${CANARY}&x=1`,
    `GET https://host.example.test/reset?code=${CANARY}`,
    `mongodb://alice:${CANARY}@db.example.test/auth`,
    `connect postgres://alice:${CANARY}@db failed`,
    `Unexpected token in JSON: {"username":"alice","password":"${CANARY}"}`,
    `{"password": "${CANARY}`,
    `{"refreshToken":"x\\"${CANARY}"}`,
    `{"question":"${CANARY} of a person"}`,
    `Cookie: accessToken=abc; other=${CANARY}`,
    `set-cookie: a=${CANARY}; HttpOnly`,
    `sk-${CANARY}`,
    `the key tg_${CANARY} was used`,
  ])('masks %p', (text) => {
    const encoded = Buffer.from(`alice:${CANARY}`).toString('base64');
    const line = shown({ error: new Error(text), list: [text], note: text, [text]: 1 });
    expect(line).not.toContain(CANARY);
    expect(line).not.toContain(encoded);
  });

  it('looks for each of them wherever there can be one', () => {
    const pieces = [
      'bearer ',
      'Basic ',
      'eyJ',
      'abcdEF01',
      '.',
      '-',
      ' ',
      '"',
      'code',
      ':',
      '123456',
      'https://',
      '@',
      '?',
      '=',
    ];
    const names = [
      'authorization',
      'Set-Cookie',
      'sk-',
      'tg_',
      'xoxb-',
      'whsec_',
      'token',
      'password',
      'a0'.repeat(32),
      'ſK',
    ];
    const piece = fc.oneof(fc.constantFrom(...pieces, ...names), fc.string({ maxLength: 4 }), fc.uuid());
    const text = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.uuid(),
      fc.stringMatching(/^[0-9a-f]{24}$/),
    );
    fc.assert(
      fc.property(text, (any) => {
        expect(maskText(any)).toBe(maskEach(any));
      }),
      { numRuns: 3000 },
    );
  });

  it('masks tokens, whole or cut, and 64-digit reset tokens', () => {
    const reset = randomBytes(32).toString('hex');
    const line = shown([JWT, `x ${JWT} y`, JWT.slice(0, 40), `link ${reset}.`, `{"code":"123456"}`]);
    for (const part of ['eyJzdWIi', 'dBjft', reset, '123456']) expect(line).not.toContain(part);
  });

  it('masks a token that the cut of a long text goes through', () => {
    const long = 'x'.repeat(4040) + ' ' + JWT;
    expect(shown(long)).not.toContain('eyJzdWIi');
  });

  it('leaves ordinary words alone', () => {
    const words = [
      'a basic understanding of tokens and passwords',
      'https://host.example.test/api/credits',
      'secretary of the password committee',
      '{"code":"INSUFFICIENT_CREDITS"}',
    ];
    expect(redact(words)).toEqual(words);
  });

  it('drops the query of an address', () => {
    expect(redact({ url: '/api/auth/verify?token=1&x=2', path: '/a#b', originalUrl: '/c' })).toEqual({
      url: '/api/auth/verify',
      path: '/a',
      originalUrl: '/c',
    });
  });

  it.each([
    'eyJ',
    '-eyJ',
    'eyJ.',
    'http://',
    'a://b:',
    'token',
    'token-',
    '"token',
    'bearer ',
    '[redacted',
    '\\"',
    'cookie:',
  ])('takes under 50 ms for the longest text made of %p', (piece) => {
    const text = piece.repeat(8192);
    // The best of several: a machine that is busy elsewhere does not count.
    const times = Array.from({ length: 7 }, () => {
      const start = performance.now();
      redact(text);
      return performance.now() - start;
    });
    expect(Math.min(...times)).toBeLessThan(50);
  });
});

describe('values of any shape', () => {
  it('stops at cycles but shows an object twice when it is there twice', () => {
    const twice = { a: 1 };
    const loop: Record<string, unknown> = { one: twice, two: twice };
    loop.self = loop;
    expect(redact(loop)).toEqual({ one: { a: 1 }, two: { a: 1 }, self: '[circular]' });
  });

  it('is bounded in depth, breadth, number and length', () => {
    let deep: unknown = 'bottom';
    for (let level = 0; level < 10_000; level += 1) deep = [deep];
    expect(shown(deep)).toContain('[deep]');
    expect(shown(Array.from({ length: 100_000 }, () => 1)).length).toBeLessThan(300);
    expect(shown('x'.repeat(1_000_000)).length).toBeLessThan(4200);
    const wide = (level: number): unknown => (level === 0 ? {} : Array.from({ length: 40 }, () => wide(level - 1)));
    expect(shown(wide(4)).length).toBeLessThan(300_000);
  });

  it('shows errors with their causes, codes and siblings', () => {
    const cause = Object.assign(new Error('inner'), { code: 'ECONNREFUSED' });
    const error = new AggregateError([new TypeError('one')], 'outer', { cause });
    expect(redact(error)).toMatchObject({
      name: 'AggregateError',
      message: 'outer',
      stack: expect.stringContaining('redact.test'),
      cause: { name: 'Error', message: 'inner', code: 'ECONNREFUSED' },
      errors: [{ name: 'TypeError', message: 'one' }],
    });
  });

  it('survives getters, proxies and toJSON that throw', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const hostile = {
      getter: {
        get x(): never {
          throw new Error('no');
        },
      },
      json: {
        toJSON() {
          throw new Error('no');
        },
      },
      proxy,
    };
    expect(redact(hostile)).toEqual({ getter: '[unreadable]', json: '[unreadable]', proxy: '[unreadable]' });
  });

  it('shows what JSON cannot', () => {
    expect(
      redact({
        big: 10n ** 20n,
        nan: Number.NaN,
        fn: () => 1,
        date: new Date(0),
        bytes: Buffer.from('abc'),
        set: new Set([1]),
        map: new Map([['k', 'v']]),
        url: new URL('https://host.example.test/x?token=1'),
      }),
    ).toEqual({
      big: '100000000000000000000',
      nan: 'NaN',
      fn: '[function]',
      date: '1970-01-01T00:00:00.000Z',
      bytes: '[3 bytes]',
      set: [1],
      map: { k: 'v' },
      url: 'https://host.example.test/x',
    });
  });

  it('treats __proto__ as a key and changes no other object', () => {
    const copy = redact(JSON.parse('{"__proto__":{"polluted":true}}'));
    expect(JSON.stringify(copy)).toBe('{"__proto__":{"polluted":true}}');
    expect(Object.getPrototypeOf({})).not.toHaveProperty('polluted');
  });

  it('never throws and always gives JSON', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withMap: true, withSet: true, withDate: true, withTypedArray: true }),
        (any) => {
          const text = shown({ any });
          expect(() => JSON.parse(text)).not.toThrow();
        },
      ),
      { numRuns: 500 },
    );
  });
});
