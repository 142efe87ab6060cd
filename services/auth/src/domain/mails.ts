import type { BreachName } from './breach-rules.ts';

/** Mails that only tell the owner of an account what has happened to it. */
export type NoticeKind =
  | 'password-changed'
  | 'session-theft'
  | 'api-key-created'
  | 'second-factor-enabled'
  | 'second-factor-disabled'
  | 'second-factor-reset'
  | 'backup-codes-replaced';

/** Ordered by the hundred, for people who wait for nothing yet: a code or a reset must not stand in line behind them. */
export const isBulk = ({ kind }: { kind: MailFacts['kind'] }): boolean => kind === 'welcome';

/** What is put into a mail; every text in it may come from a stranger. */
export type MailFacts =
  | Readonly<{ kind: 'verification'; username: string; code: string }>
  | Readonly<{ kind: 'already-registered' }>
  | Readonly<{ kind: 'password-reset'; username: string; token: string }>
  | Readonly<{ kind: 'welcome'; username: string; token: string }>
  | Readonly<{ kind: 'email-change'; username: string; token: string }>
  | Readonly<{ kind: 'email-changed'; username: string; newEmail: string }>
  | Readonly<{ kind: NoticeKind; username: string }>
  | Readonly<{ kind: 'alert'; rule: BreachName; about: string; count: number }>
  | Readonly<{ kind: 'invitation'; inviter: string; workspace: string; role: string; token: string }>
  | Readonly<{ kind: 'member-role'; username: string; workspace: string; role: string }>
  | Readonly<{ kind: 'member-removed'; username: string; workspace: string }>;

/** A paragraph of words, or a link on a line of its own. */
type Block = string | Readonly<{ link: string; label: string }>;
export type Letter = Readonly<{ subject: string; blocks: readonly Block[] }>;

/**
 * The words of a mail. Links begin with `baseUrl`, whatever host a request named; secrets stand in the fragment, which
 * browsers send to no server and to no next page.
 */
export function writeMail(facts: MailFacts, baseUrl: string): Letter {
  switch (facts.kind) {
    case 'verification':
      return {
        subject: 'Your verification code',
        blocks: [
          `Hello ${facts.username},`,
          `Your verification code: ${facts.code}`,
          { link: `${baseUrl}/verify-email#code=${facts.code}`, label: 'Confirm this address' },
          NOT_YOU,
        ],
      };
    case 'already-registered':
      return {
        subject: 'You already have an account',
        blocks: [
          'Somebody tried to open an account with this e-mail address, but it already belongs to one.',
          'If it was you, log in, or choose a new password:',
          { link: `${baseUrl}/forgot-password`, label: 'Choose a new password' },
          NOT_YOU,
        ],
      };
    case 'password-reset':
      return withToken(facts, {
        subject: 'Choose a new password',
        intro: 'You asked for a new password. The link works once and only for a short time.',
        link: { link: `${baseUrl}/reset-password#token=${facts.token}`, label: 'Choose a new password' },
        outro: NOT_YOU,
      });
    case 'welcome':
      return withToken(facts, {
        subject: 'An account was opened for you',
        intro: `Your user name is ${facts.username}. Choose a password to begin:`,
        link: { link: `${baseUrl}/reset-password#token=${facts.token}`, label: 'Choose a password' },
        outro: 'When the link has expired, ask for a new password.',
      });
    case 'email-change':
      return withToken(facts, {
        subject: 'Confirm your new e-mail address',
        intro: 'This address will belong to your account as soon as you confirm it.',
        link: { link: `${baseUrl}/verify-email#token=${facts.token}`, label: 'Confirm this address' },
        outro: NOT_YOU,
      });
    case 'email-changed':
      return notice(facts, 'Your e-mail address was changed', `Your account now belongs to ${facts.newEmail}.`);
    case 'alert':
    case 'invitation':
    case 'member-role':
    case 'member-removed':
      return writeNews(facts, baseUrl);
    default:
      return notice(facts, ...NOTICES[facts.kind]);
  }
}

type News = Extract<MailFacts, { kind: 'alert' | 'invitation' | 'member-role' | 'member-removed' }>;

/** What workspaces and operators are told. */
function writeNews(facts: News, baseUrl: string): Letter {
  switch (facts.kind) {
    case 'alert':
      return {
        subject: `Alert: ${facts.rule}`,
        blocks: [`${ALERTS[facts.rule]}: ${facts.about}`, `Counted: ${facts.count}. The audit log has the lines.`],
      };
    case 'invitation':
      return invitation(facts, baseUrl);
    case 'member-role':
      return news(facts, 'Your role has changed', `In the workspace "${facts.workspace}" you are now: ${facts.role}.`);
    case 'member-removed':
      return news(facts, 'You left a workspace', `You do not belong to the workspace "${facts.workspace}" any more.`);
  }
}

/** Subject and sentence. */
const NOTICES: Readonly<Record<NoticeKind, readonly [string, string]>> = {
  'password-changed': ['Your password was changed', 'Your password was changed and other sessions were ended.'],
  'session-theft': ['A session was ended', 'An old session token was used again, so the session was ended.'],
  'api-key-created': ['An API key was made', 'Programs that have it can use your account within its scopes.'],
  'second-factor-enabled': ['A second factor was set up', 'From now on a login also needs a code of your app.'],
  'second-factor-disabled': ['Your second factor was removed', 'From now on a login needs your password alone.'],
  'second-factor-reset': [
    'Your second factor was reset',
    'An administrator removed the second factor of your account.',
  ],
  'backup-codes-replaced': ['You have new backup codes', 'New backup codes were made; the old ones are void.'],
};

const ALERTS: Readonly<Record<BreachName, string>> = {
  'password-spraying': 'Logins failed for many names from one address',
  'token-theft': 'An old refresh token was used again, and its session was ended',
  'authorisation-failures': 'A user was refused again and again',
  'export-volume': 'A user exported an unusual amount',
};

const NOT_YOU = 'If it was not you, ignore this mail.';

function withToken(
  { username, token }: { username: string; token: string },
  letter: Readonly<{ subject: string; intro: string; link: Block; outro: string }>,
): Letter {
  const { subject, intro, link, outro } = letter;
  return { subject, blocks: [`Hello ${username},`, intro, link, `Or enter this token: ${token}`, outro] };
}

const notice = ({ username }: { username: string }, subject: string, sentence: string): Letter => ({
  subject,
  blocks: [`Hello ${username},`, sentence, 'If it was not you, choose a new password at once.'],
});

/** Something that was done to an account by somebody who may; there is no password to change. */
const news = ({ username }: { username: string }, subject: string, sentence: string): Letter => ({
  subject,
  blocks: [`Hello ${username},`, sentence, 'Ask an administrator of the workspace if you did not expect this.'],
});

const invitation = (
  { inviter, workspace, role, token }: Extract<MailFacts, { kind: 'invitation' }>,
  baseUrl: string,
): Letter => ({
  subject: 'You are invited to a workspace',
  blocks: [
    `${inviter} invites you to the workspace "${workspace}" as: ${role}.`,
    'Log in to the account of this e-mail address, or sign up with it first, and accept the invitation:',
    { link: `${baseUrl}/join#token=${token}`, label: 'Accept the invitation' },
    `Or enter this token: ${token}`,
    NOT_YOU,
  ],
});
