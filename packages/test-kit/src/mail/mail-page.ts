import type { Mail } from './mailbox.ts';

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}' +
  'article{border-top:1px solid #ccc;padding:1rem 0}pre{white-space:pre-wrap;overflow-wrap:anywhere}small{color:#555}';

/** Nothing of a mail may run or load in the reader's browser. */
export const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/** A page for people: all mails, newest first, with links that can be followed. */
export function mailPage(mails: readonly Mail[]): string {
  const list = mails.map(articleOf).join('\n') || '<p>No mail yet.</p>';
  return (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Mail sink</title>' +
    `<meta name="viewport" content="width=device-width"><style>${STYLE}</style></head>\n` +
    `<body><h1>Mail sink</h1><p>${mails.length} kept. <a href="/mails">As JSON</a></p>\n${list}\n</body></html>\n`
  );
}

function articleOf(mail: Mail): string {
  return (
    `<article><h2>${escape(mail.subject) || '(no subject)'}</h2>` +
    `<small>to ${escape(mail.to.join(', '))} from ${escape(mail.from)}, ${escape(mail.receivedAt)}, ` +
    `<a href="/mails/${mail.id}">JSON</a></small><pre>${linked(mail)}</pre></article>`
  );
}

/** The text with its links made clickable; a mail without text shows its links only. */
function linked(mail: Mail): string {
  const anchor = (url: string) => `<a href="${escape(url)}" rel="noreferrer">${escape(url)}</a>`;
  if (mail.text === '') return mail.links.map(anchor).join('\n');
  let rest = mail.text;
  let html = '';
  for (const url of mail.links) {
    const at = rest.indexOf(url);
    html += escape(rest.slice(0, at)) + anchor(url);
    rest = rest.slice(at + url.length);
  }
  return html + escape(rest);
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
