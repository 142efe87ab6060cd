import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import { type Clock, systemClock } from '../clock.ts';
import { listen, sendJson, sendText, type Visit } from '../fakes/fake-server.ts';
import { createMailbox, type Mail, type Mailbox } from './mailbox.ts';
import { mailPage, PAGE_POLICY } from './mail-page.ts';

export type { Mail } from './mailbox.ts';

export type SmtpSinkOptions = {
  /** 0 or absent: chosen by the system. */
  smtpPort?: number;
  httpPort?: number;
  /** How many mails are kept; older ones are forgotten. */
  keep?: number;
  clock?: Clock;
};

export type SmtpSink = {
  readonly smtpPort: number;
  /** `smtp://127.0.0.1:<port>` */
  readonly smtpUrl: string;
  /** The reader: `/` for people, `/mails?to=`, `/mails/:id` and DELETE `/mails` for programs. */
  readonly httpUrl: string;
  /** Newest first. */
  mails(to?: string): readonly Mail[];
  /**
   * Resolves with the newest mail to this recipient that the predicate accepts, whether it is there already or comes
   * within `timeoutMs` (10 s unless given); rejects with the subjects that did come.
   */
  waitForMail(to: string, isWanted?: (mail: Mail) => boolean, timeoutMs?: number): Promise<Mail>;
  /** Answers every recipient with this SMTP code (450 and above) until called without one. */
  refuseRecipients(code?: number): void;
  clear(): void;
  stop(): Promise<void>;
};

const KEPT_MAILS = 1_000;
const MAIL_LIMIT_BYTES = 10 * 1024 * 1024;
const WAIT_MS = 10_000;
const LOCAL_NAMES = new Set(['127.0.0.1', 'localhost']);

/** Takes every mail that is sent to it and shows it over HTTP; both on 127.0.0.1, without TLS and login. */
export async function startSmtpSink(options: SmtpSinkOptions = {}): Promise<SmtpSink> {
  const mailbox = createMailbox(options.keep ?? KEPT_MAILS);
  const refusal: Refusal = { code: undefined };
  const smtp = createSmtpServer(mailbox, options.clock ?? systemClock, refusal);
  const smtpPort = await listenSmtp(smtp, options.smtpPort ?? 0);
  const web = await listen((visit, res) => serveMails(mailbox, visit, res), options.httpPort).catch(async (error) => {
    await closeSmtp(smtp);
    throw error;
  });
  return {
    smtpPort,
    smtpUrl: `smtp://127.0.0.1:${smtpPort}`,
    httpUrl: web.origin,
    mails: (to) => mailbox.list(to),
    waitForMail: (to, isWanted = () => true, timeoutMs = WAIT_MS) => mailbox.waitFor(to, isWanted, timeoutMs),
    refuseRecipients: (code) => {
      refusal.code = code;
    },
    clear: () => mailbox.clear(),
    async stop() {
      mailbox.close();
      await Promise.all([closeSmtp(smtp), web.close()]);
    },
  };
}

type Refusal = { code: number | undefined };

function createSmtpServer(mailbox: Mailbox, clock: Clock, refusal: Refusal): SMTPServer {
  const server = new SMTPServer({
    name: 'sink.test',
    banner: 'mail sink',
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    size: MAIL_LIMIT_BYTES,
    closeTimeout: 1,
    onRcptTo: (_address, _session, done) => done(refusal.code === undefined ? null : smtpError(refusal.code)),
    onData(stream, session, done) {
      receive(stream, session).then(
        () => done(),
        (error) => done(error instanceof Error ? error : new Error(String(error))),
      );
    },
  });
  // A client that breaks off is nothing that the sink has to report; without a listener it would end the process.
  server.on('error', () => undefined);

  async function receive(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) if (!stream.sizeExceeded) chunks.push(chunk);
    if (stream.sizeExceeded) throw smtpError(552);
    const { mailFrom, rcptTo } = session.envelope;
    const envelope = { from: mailFrom ? mailFrom.address : '', to: rcptTo.map(({ address }) => address) };
    await mailbox.receive(Buffer.concat(chunks), envelope, clock.now());
  }
  return server;
}

function smtpError(code: number): Error {
  return Object.assign(new Error('refused by the sink'), { responseCode: code });
}

async function listenSmtp(smtp: SMTPServer, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  smtp.server.once('error', reject);
  smtp.listen(port, '127.0.0.1', resolve);
  await promise;
  smtp.server.off('error', reject);
  return (smtp.server.address() as AddressInfo).port; // a listening TCP server has an address object
}

function closeSmtp(smtp: SMTPServer): Promise<void> {
  return new Promise((resolve) => {
    smtp.close(() => resolve());
    for (const connection of smtp.connections) connection.close();
  });
}

async function serveMails(mailbox: Mailbox, visit: Visit, res: ServerResponse): Promise<void> {
  // Mails hold sign-in links: a web page that rebinds its name to this address must not read them.
  const host = visit.headers.host?.replace(/:\d+$/, '') ?? '';
  if (!LOCAL_NAMES.has(host)) return sendJson(res, 421, { error: 'reachable as 127.0.0.1 or localhost only' });
  const route = `${visit.method} ${visit.path}`;
  if (route === 'GET /') {
    const headers = { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': PAGE_POLICY };
    return sendText(res, 200, headers, mailPage(mailbox.list()));
  }
  if (route === 'GET /mails') return sendJson(res, 200, mailbox.list(visit.query.get('to') ?? undefined));
  if (route === 'DELETE /mails') {
    mailbox.clear();
    res.writeHead(204);
    return void res.end();
  }
  const id = /^GET \/mails\/(\d{1,9})$/.exec(route)?.[1];
  const mail = id === undefined ? undefined : mailbox.find(Number(id));
  if (mail) return sendJson(res, 200, mail);
  sendJson(res, 404, { error: 'no such mail' });
}
