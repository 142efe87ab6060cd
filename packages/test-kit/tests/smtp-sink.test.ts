import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { manualClock } from '../src/clock.ts';
import { type SmtpSink, startSmtpSink } from '../src/mail/smtp-sink.ts';

let sink: SmtpSink;
beforeAll(async () => {
  sink = await startSmtpSink({ keep: 3, clock: manualClock('2030-01-01T00:00:00Z') });
});
beforeEach(() => {
  sink.clear();
  sink.refuseRecipients();
});
afterAll(() => sink.stop());

/** Speaks SMTP by hand; returns the reply codes in order. */
async function send(to: string[], subject: string, body: string, type = 'text/plain'): Promise<number[]> {
  const socket = connect(sink.smtpPort, '127.0.0.1');
  const replies = createInterface({ input: socket })[Symbol.asyncIterator]();
  const reply = async () => {
    for (;;) {
      const { value } = await replies.next();
      if (value?.[3] === ' ') return Number(value.slice(0, 3));
    }
  };
  const mail = `From: Tollgate <no-reply@example.test>\r\nSubject: ${subject}\r\nContent-Type: ${type}; charset=utf-8\r\n\r\n${body}\r\n.`;
  const recipients = to.map((address) => `RCPT TO:<${address}>`);
  const codes = [await reply()];
  for (const line of ['EHLO client.test', 'MAIL FROM:<bounce@example.test>', ...recipients, 'DATA', mail, 'QUIT']) {
    socket.write(`${line}\r\n`);
    codes.push(await reply());
  }
  socket.destroy();
  return codes;
}

const read = (path: string, headers: Record<string, string> = {}) => request(`${sink.httpUrl}${path}`, { headers });

describe('the SMTP sink', () => {
  it('keeps what was really delivered and shows it as JSON', async () => {
    await send(
      ['Alice@Example.test'],
      '=?utf-8?q?Gr=C3=BC=C3=9Fe?=',
      'Go to http://127.0.0.1:8080/verify?token=a.b-c, please.',
    );
    const res = await read('/mails?to=alice@example.test');
    expect(await res.body.json()).toMatchObject([
      {
        receivedAt: '2030-01-01T00:00:00.000Z',
        from: 'no-reply@example.test',
        to: ['alice@example.test'],
        subject: 'Grüße',
        links: ['http://127.0.0.1:8080/verify?token=a.b-c'],
      },
    ]);
    const [mail] = sink.mails();
    const one = await read(`/mails/${mail?.id}`);
    expect(await one.body.json()).toMatchObject({
      subject: 'Grüße',
      headers: expect.arrayContaining([{ name: 'Subject', value: expect.anything() }]),
    });
  });

  it('hands a mail to who waits for it, whether it is there or comes later', async () => {
    const later = sink.waitForMail('bob@example.test', (mail) => mail.subject === 'second');
    await send(['bob@example.test', 'carol@example.test'], 'first', 'x');
    await send(['bob@example.test'], 'second', 'y');
    expect((await later).text.trim()).toBe('y');
    expect((await sink.waitForMail('carol@example.test')).subject).toBe('first');
  });

  it('says what came when the awaited mail does not', async () => {
    await send(['bob@example.test'], 'welcome', 'x');
    const never = sink.waitForMail('bob@example.test', (mail) => mail.subject === 'reset', 1);
    await expect(never).rejects.toThrow('it got: welcome');
  });

  it('forgets the oldest beyond its limit, and everything on DELETE', async () => {
    for (const subject of ['1', '2', '3', '4']) await send(['dave@example.test'], subject, 'x');
    expect(sink.mails().map(({ subject }) => subject)).toEqual(['4', '3', '2']);
    expect((await request(`${sink.httpUrl}/mails`, { method: 'DELETE' })).statusCode).toBe(204);
    expect(await (await read('/mails')).body.json()).toEqual([]);
    expect((await read('/mails/1')).statusCode).toBe(404);
  });

  it('shows people a page on which no mail can run anything', async () => {
    await send(['eve@example.test'], '<script>alert(1)</script>', '<img src=x> https://example.test/a?b=1&c=2');
    await send(['eve@example.test'], 'html only', '<a href="https://example.test/x?a=1&amp;b=2">go</a>', 'text/html');
    const res = await read('/');
    const page = await res.body.text();
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).toContain('&lt;img src=x&gt; <a href="https://example.test/a?b=1&amp;c=2"');
    expect(page).toContain('<a href="https://example.test/x?a=1&amp;b=2"');
    expect(page).not.toMatch(/<script|<img/);
    expect(res.headers['content-security-policy']).toContain("default-src 'none'");
  });

  it('is not read through a name that was rebound to this machine', async () => {
    const res = await read('/mails', { host: 'attacker.example' });
    expect(res.statusCode).toBe(421);
    await res.body.dump();
  });

  it('can refuse recipients for a while', async () => {
    sink.refuseRecipients(451);
    const codes = await send(['frank@example.test'], 'x', 'x');
    expect(codes).toContain(451);
    expect(sink.mails()).toEqual([]);
  });

  it('rejects who still waits when it is stopped', async () => {
    const other = await startSmtpSink();
    const never = other.waitForMail('alice@example.test');
    await other.stop();
    await expect(never).rejects.toThrow('the SMTP sink was stopped');
  });
});
