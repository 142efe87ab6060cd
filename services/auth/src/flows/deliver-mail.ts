import { type MailFacts, type NoticeKind, writeMail } from '../domain/mails.ts';
import type { CodeKind, CodeLives } from '../domain/mailed-code.ts';
import { keyOf, mayLogIn, type User } from '../domain/user.ts';
import type { LeasedMail, MailOrder, Ports } from '../ports.ts';

type MailTimes = Readonly<{ leaseMs: number; firstRetryMs: number; lastRetryMs: number; giveUpMs: number }>;

type DeliverDeps = Pick<
  Ports,
  'clock' | 'events' | 'invitations' | 'mailQueue' | 'mailedCodes' | 'mailer' | 'secrets' | 'users' | 'workspaces'
> & {
  codeLives: CodeLives;
  publicBaseUrl: string;
  times: MailTimes;
};
type Addressed = Readonly<{ to: string; facts: MailFacts }>;

/** Delivers the mail that waits longest, bulk after all others; false when none is due. A mail is lost to nobody before it is given up. */
export const createDeliverMail = (deps: DeliverDeps) =>
  async function deliverMail(): Promise<boolean> {
    const { mailQueue, mailer, clock, times } = deps;
    const now = clock.now();
    const mail = await mailQueue.lease(new Date(now), new Date(now + times.leaseMs));
    if (!mail) return false;
    try {
      const addressed = await address(deps, mail.order);
      const outcome =
        addressed && (await mailer.send({ to: addressed.to, ...writeMail(addressed.facts, deps.publicBaseUrl) }));
      if (outcome === 'refused') await giveUp(deps, mail, 'refused');
      else await mailQueue.remove(mail);
    } catch (error) {
      await postpone(deps, mail, error);
    }
    return true;
  };

async function postpone(deps: DeliverDeps, mail: LeasedMail, error: unknown): Promise<void> {
  const { clock, times } = deps;
  const delay = Math.min(times.firstRetryMs * 2 ** mail.attempts, times.lastRetryMs);
  const at = clock.now() + delay;
  if (at - mail.orderedAt.getTime() > times.giveUpMs) return giveUp(deps, mail, 'timeout');
  await deps.mailQueue.retryAt(mail, new Date(at), error instanceof Error ? error.name : 'unknown');
}

async function giveUp({ events, mailQueue }: DeliverDeps, mail: LeasedMail, reason: string): Promise<void> {
  await events.record({
    action: 'mail.given-up',
    facts: { kind: mail.order.kind, reason, attempts: mail.attempts + 1 },
  });
  await mailQueue.remove(mail);
}

/** Whom a mail goes to and what stands in it; undefined when there is nobody to write to. */
async function address(deps: DeliverDeps, order: MailOrder): Promise<Addressed | undefined> {
  switch (order.kind) {
    case 'already-registered':
      return { to: order.email, facts: { kind: order.kind } };
    case 'alert':
      return { to: order.email, facts: { kind: order.kind, ...order.alert } };
    case 'verification':
      return toNewcomer(deps, order.email);
    case 'password-reset':
      return withToken(deps, 'password-reset', await deps.users.findByEmail(keyOf(order.email)));
    case 'welcome':
      return withToken(deps, 'welcome', await deps.users.find(order.userId));
    case 'email-change':
      return toNewAddress(deps, await deps.users.find(order.userId), order.email);
    case 'invitation':
      return toInvited(deps, order.invitationId);
    case 'member-role':
    case 'member-removed':
      return toMember(deps, order);
    default:
      return notice(await deps.users.find(order.userId), order);
  }
}

async function toNewcomer(deps: DeliverDeps, email: string): Promise<Addressed | undefined> {
  const user = await deps.users.findByEmail(keyOf(email));
  if (!user || user.isVerified) return undefined;
  // One at a time: a code has 24 bits, and every other one in force would be as good as another guess.
  await deps.mailedCodes.discard(user.id, ['verify-email']);
  const code = await issueCode(deps, 'verify-email', user, user.email);
  return { to: user.email, facts: { kind: 'verification', username: user.username, code } };
}

async function withToken(
  deps: DeliverDeps,
  kind: 'password-reset' | 'welcome',
  user: User | undefined,
): Promise<Addressed | undefined> {
  if (!user?.emailKey || !mayLogIn(user)) return undefined;
  const lifeMs = kind === 'welcome' ? deps.codeLives.welcome : deps.codeLives['reset-password'];
  const token = await issueCode(deps, 'reset-password', user, user.email, lifeMs);
  return { to: user.email, facts: { kind, username: user.username, token } };
}

/** An address that belongs to another account gets the news that it does, instead of a token. */
async function toNewAddress(deps: DeliverDeps, user: User | undefined, email: string): Promise<Addressed | undefined> {
  if (user?.pendingEmail !== email) return undefined;
  if (await deps.users.findByEmail(keyOf(email))) return { to: email, facts: { kind: 'already-registered' } };
  const token = await issueCode(deps, 'change-email', user, email);
  return { to: email, facts: { kind: 'email-change', username: user.username, token } };
}

/** A second try of the same mail has another token; only the last one that was written is good. */
async function toInvited(deps: DeliverDeps, invitationId: string): Promise<Addressed | undefined> {
  const { invitations, workspaces, users, secrets, clock } = deps;
  const now = new Date(clock.now());
  const invitation = await invitations.find(invitationId, now);
  if (!invitation) return undefined;
  const [workspace, inviter] = await Promise.all([
    workspaces.find(invitation.workspaceId),
    users.find(invitation.invitedBy),
  ]);
  if (!workspace || !inviter) return undefined;
  const { secret, hash } = secrets.create('invitation');
  if (!(await invitations.setHash(invitationId, hash, now))) return undefined;
  const { email, role } = invitation;
  const facts = {
    kind: 'invitation',
    inviter: inviter.username,
    workspace: workspace.name,
    role,
    token: secret,
  } as const;
  return { to: email, facts };
}

async function toMember(
  { users, workspaces }: DeliverDeps,
  order: Extract<MailOrder, { kind: 'member-role' | 'member-removed' }>,
): Promise<Addressed | undefined> {
  const [user, workspace] = await Promise.all([users.find(order.userId), workspaces.find(order.workspaceId)]);
  if (!user?.emailKey || !workspace) return undefined;
  const both = { username: user.username, workspace: workspace.name };
  const facts =
    order.kind === 'member-role' ? { ...both, kind: order.kind, role: order.role } : { ...both, kind: order.kind };
  return { to: user.email, facts };
}

function notice(user: User | undefined, order: Extract<MailOrder, { kind: NoticeKind | 'email-changed' }>) {
  if (!user?.emailKey) return undefined;
  const { username, email } = user;
  if (order.kind === 'email-changed')
    return { to: order.email, facts: { kind: order.kind, username, newEmail: email } };
  return { to: email, facts: { kind: order.kind, username } };
}

/** How often a drawn code may be in use already: with 24 bits and thousands of open codes, once in thousands. */
const MOST_DRAWS = 8;

/** Makes a secret and stores its hash, bound to the user and the address it is mailed to. */
export async function issueCode(
  { clock, secrets, mailedCodes, codeLives }: Pick<DeliverDeps, 'clock' | 'secrets' | 'mailedCodes' | 'codeLives'>,
  kind: CodeKind,
  user: User,
  ...[email, lifeMs = codeLives[kind]]: [email: string, lifeMs?: number]
): Promise<string> {
  const now = clock.now();
  const bound = {
    kind,
    userId: user.id,
    email,
    emailKey: keyOf(email),
    createdAt: new Date(now),
    expiresAt: new Date(now + lifeMs),
  };
  for (let draw = 0; draw < MOST_DRAWS; draw += 1) {
    const { secret, hash } = secrets.create(kind);
    if (await mailedCodes.insert({ ...bound, hash })) return secret;
  }
  throw new Error(`no free code after ${MOST_DRAWS} draws`);
}
