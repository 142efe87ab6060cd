import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createLogger, type LoggerOptions, toFastifyLogger } from '../src/index.ts';
import { collector } from './collector.ts';

const clock = { now: () => Date.UTC(2026, 0, 1) };

function setUp(options: Partial<LoggerOptions> = {}) {
  const output = collector();
  const logger = createLogger({ service: 'auth', destination: output.stream, clock, ...options });
  const lines = async () => {
    await logger.close();
    return output.lines();
  };
  return { logger, lines, output };
}

describe('the log', () => {
  it('writes one line of JSON per event with time, level, service and message', async () => {
    const { logger, lines } = setUp();
    logger.info('started', { port: 3000 });
    logger.error('failed', { error: new Error('why', { cause: new Error('because') }) });
    expect(await lines()).toEqual([
      { time: '2026-01-01T00:00:00.000Z', level: 'info', service: 'auth', message: 'started', port: 3000 },
      expect.objectContaining({
        level: 'error',
        error: expect.objectContaining({ message: 'why', cause: expect.objectContaining({ message: 'because' }) }),
      }),
    ]);
  });

  it('writes every time as ISO 8601 has it, whichever came before', async () => {
    const times = [0, 1, 999, 1000, 59_999, 60_000.7, 86_399_999, 1000, -1, 7];
    const left = [...times];
    const { logger, lines } = setUp({ clock: { now: () => left.shift() ?? 0 } });
    for (const _ of times) logger.info('tick');
    expect((await lines()).map(({ time }) => time)).toEqual(times.map((ms) => new Date(ms).toISOString()));
  });

  it('writes nothing below its level and nothing at all when silent', async () => {
    const { logger, lines } = setUp({ level: 'warn' });
    for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level](level);
    expect((await lines()).map(({ message }) => message)).toEqual(['warn', 'error']);
    const quiet = setUp({ level: 'silent' });
    quiet.logger.error('x');
    expect(await quiet.lines()).toEqual([]);
  });

  it('adds the ids of the request under way to each line, asked at the time of writing', async () => {
    let requestId: string | undefined = 'r-1';
    const { logger, lines } = setUp({ context: () => (requestId ? { requestId } : undefined) });
    logger.info('one');
    requestId = 'r-2';
    logger.child({ job: 'sweep' }).info('two');
    requestId = undefined;
    logger.info('three');
    expect((await lines()).map(({ requestId: id, job }) => [id, job])).toEqual([
      ['r-1', undefined],
      ['r-2', 'sweep'],
      [undefined, undefined],
    ]);
  });

  it('lets no field replace what the line says about itself or its request', async () => {
    const { logger, lines } = setUp({ context: () => ({ requestId: 'r-1', level: 'x' }) });
    logger.info('true', { message: 'false', level: 'error', service: 'other', time: 0, requestId: 'forged' });
    expect(await lines()).toEqual([
      expect.objectContaining({
        message: 'true',
        level: 'info',
        service: 'auth',
        requestId: 'r-1',
        requestId_: 'forged',
      }),
    ]);
  });

  it('redacts message, fields, bound fields and context', async () => {
    const { logger, lines, output } = setUp({ context: () => ({ session: 'Bearer canary-123456' }) });
    logger.child({ password: 'canary-1' }).info('token=canary-2', { deep: [{ cookie: 'canary-3' }] });
    await lines();
    expect(output.text()).not.toContain('canary');
  });

  it('keeps CR, LF, ANSI sequences, JSON breakers and text reversal inside one well-formed line', async () => {
    const attacks = [
      'a\r\nb',
      '\u001b[31mred',
      '\u009b2J',
      '"}\n{"level":"error"',
      '\u2028\u2029',
      '\u202egpj.exe',
      '\u0000\u007f',
      '\ud800',
    ];
    const { logger, lines, output } = setUp({ context: () => ({ agent: attacks.join('') }) });
    for (const attack of attacks) logger.info(attack, { [attack]: attack });
    const written = await lines();
    expect(written).toHaveLength(attacks.length);
    expect(written.map(({ message }) => message).slice(0, -1)).toEqual(attacks.slice(0, -1));
    const unprintable = [...output.text().replaceAll('\n', '')].filter((character) =>
      /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(character),
    );
    expect(unprintable).toEqual([]);
  });

  it('writes exactly one parsable line for anything', async () => {
    const { logger, lines } = setUp();
    let written = 0;
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.dictionary(fc.string(), fc.anything()), (message, fields) => {
        logger.info(message, fields);
        written += 1;
      }),
    );
    expect(await lines()).toHaveLength(written);
  });

  it('hands every line to a slow destination before close ends, and leaves the destination open', async () => {
    const output = collector({ isSlow: true });
    const logger = createLogger({ service: 'auth', destination: output.stream });
    for (let line = 0; line < 500; line += 1) logger.info(`line ${line}`);
    await logger.close();
    await logger.close();
    logger.info('too late');
    expect(output.lines()).toHaveLength(500);
    expect(output.stream.writableEnded).toBe(false);
  });
});

describe('the log in the shape of Fastify', () => {
  it('takes texts, objects with a text, errors, and requests without their query', async () => {
    const { logger, lines } = setUp({ level: 'debug' });
    const fastify = toFastifyLogger(logger).child({ reqId: 'req-1' });
    fastify.info('listening at %s', 'http://127.0.0.1:8000');
    fastify.info({ req: { method: 'GET', url: '/x?token=canary', socket: {} } }, 'incoming');
    fastify.error({ err: new Error('broken'), res: { statusCode: 500, raw: {} } });
    fastify.fatal(new Error('worse'));
    fastify.trace('detail');
    fastify.silent('nothing');
    expect(await lines()).toMatchObject([
      { message: 'listening at http://127.0.0.1:8000', level: 'info', reqId: 'req-1' },
      { message: 'incoming', request: { method: 'GET', url: '/x' } },
      { level: 'error', error: { message: 'broken' }, response: { statusCode: 500 } },
      { level: 'error', message: 'worse', error: { message: 'worse' } },
      { level: 'debug', message: 'detail' },
    ]);
  });
});
