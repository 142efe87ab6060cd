import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type SmtpSink, startSmtpSink } from '@tollgate/test-kit';
import { createMailer, isPlainAddress, type Mailer, renderLetter } from '../src/index.ts';

let sink: SmtpSink;
let mailer: Mailer;
beforeAll(async () => {
  sink = await startSmtpSink();
  mailer = createMailer({ url: sink.smtpUrl, from: 'Tollgate <no-reply@example.test>' });
});
beforeEach(() => sink.refuseRecipients());
afterAll(async () => {
  await mailer.close();
  await sink.stop();
});

const letter = { subject: 'News', blocks: ['Hello', { link: 'https://a.example.test/?x=1&y=2', label: 'Read' }] };

describe('a letter', () => {
  it('shows what a stranger wrote as text, never as markup', () => {
    const { text, html } = renderLetter({ subject: '', blocks: ['<img src=x onerror="a()">', "it's & that"] });
    expect(html).toContain('&lt;img src=x onerror=&quot;a()&quot;&gt;');
    expect(html).toContain('it&#39;s &amp; that');
    expect(html).not.toContain('<img');
    expect(text).toBe('<img src=x onerror="a()">\n\nit\'s & that\n');
  });

  it('arrives as text and as HTML, under the id it was given', async () => {
    expect(await mailer.send({ to: 'a@example.test', messageId: '<1@example.test>', ...letter })).toBe('sent');
    const mail = await sink.waitForMail('a@example.test');
    expect(mail).toMatchObject({ subject: 'News', from: 'no-reply@example.test' });
    expect(mail.text).toContain('Read: https://a.example.test/?x=1&y=2');
    expect(mail.html).toContain('<a href="https://a.example.test/?x=1&amp;y=2">Read</a>');
    expect(mail.headers).toContainEqual({ name: 'Message-ID', value: '<1@example.test>' });
  });

  it('gets no further header from a line break in its subject', async () => {
    await mailer.send({ to: 'b@example.test', ...letter, subject: 'Hi\r\nBcc: c@example.test\r\nX-Evil: 1' });
    const mail = await sink.waitForMail('b@example.test');
    expect(mail.to).toEqual(['b@example.test']);
    expect(mail.headers.map(({ name }) => name.toLowerCase())).not.toEqual(expect.arrayContaining(['x-evil']));
    expect(sink.mails('c@example.test')).toEqual([]);
  });
});

describe('an address', () => {
  it.each([
    'a@example.test\r\nBcc: b@example.test',
    'a@example.test,b@example.test',
    '"a b"@example.test',
    'a(comment)@example.test',
    'a@b@example.test',
    '<a@example.test>',
    'nobody',
    `${'a'.repeat(250)}@example.test`,
  ])('that is not one plain one is refused before any server sees it: %j', async (to) => {
    const before = sink.mails().length;
    expect(await mailer.send({ to, ...letter })).toBe('refused');
    expect(sink.mails()).toHaveLength(before);
  });

  it('of a person is taken', () => {
    expect(['a.b+c@example.test', 'ü@exämple.test', "o'neil@example.test"].every(isPlainAddress)).toBe(true);
  });

  it('that the server refuses for good is refused; one it refuses for now may be tried again', async () => {
    sink.refuseRecipients(550);
    expect(await mailer.send({ to: 'd@example.test', ...letter })).toBe('refused');
    sink.refuseRecipients(451);
    await expect(mailer.send({ to: 'd@example.test', ...letter })).rejects.toThrow();
  });
});
