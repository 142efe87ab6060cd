import { AppError } from '@tollgate/http-kit';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Asker, Assignment, Auth, AuthUser, Chatflows, Clock } from '../../ports.ts';
import { requireChatflow } from './require-chatflow.ts';

export type AssignmentStatus = 'Assigned' | 'Reactivated' | 'No Action' | 'Deactivated' | 'Failed';
export interface AssignmentResult {
  readonly email: string;
  readonly status: AssignmentStatus;
  readonly message: string;
}

const MESSAGES: Readonly<Record<AssignmentStatus, string>> = {
  Assigned: 'The user may use the chatflow now',
  Reactivated: 'The user may use the chatflow again',
  'No Action': 'The user could use the chatflow already',
  Deactivated: 'The user may not use the chatflow any more',
  Failed: 'The user could not be assigned',
};

const EMAIL = /^[^\s@]+@[^\s@]+$/;

export interface AssignDeps {
  readonly chatflows: Pick<Chatflows, 'find' | 'users' | 'assign' | 'unassign' | 'renameUser'>;
  /** Asked with the administrator's own token, so that auth decides who may look users up. */
  readonly auth: Pick<Auth, 'findByEmail'>;
  readonly clock: Clock;
}

/** Who may use which chatflow. */
export function createAssignments({ chatflows, auth, clock }: AssignDeps) {
  async function requireUser(admin: Asker, email: string): Promise<AuthUser> {
    const user = await auth.findByEmail(admin.token, email);
    if (!user) throw new AppError('NOT_FOUND', 'User not found');
    return user;
  }

  async function assignUser(id: ChatflowId, { id: userId, username, email }: AuthUser): Promise<AssignmentResult> {
    const status = await chatflows.assign(id, { userId, username, email }, new Date(clock.now()));
    return { email, status, message: MESSAGES[status] };
  }

  return {
    async list(id: ChatflowId): Promise<Assignment[]> {
      await requireChatflow(chatflows, id);
      return chatflows.users(id);
    },

    async assign(admin: Asker, id: ChatflowId, email: string): Promise<AssignmentResult> {
      await requireChatflow(chatflows, id);
      return assignUser(id, await requireUser(admin, email));
    },

    async unassign(id: ChatflowId, email: string | undefined): Promise<AssignmentResult> {
      if (email === undefined) throw new AppError('VALIDATION_FAILED', 'An email is required');
      await requireChatflow(chatflows, id);
      if (!(await chatflows.unassign(id, email)))
        throw new AppError('NOT_FOUND', 'The user is not assigned to the chatflow');
      return { email, status: 'Deactivated', message: MESSAGES.Deactivated };
    },

    /** One line after the other, so that the answer says what became of each. */
    async assignMany(admin: Asker, id: ChatflowId, emails: readonly string[]) {
      await requireChatflow(chatflows, id);
      const done: AssignmentResult[] = [];
      const failed: (AssignmentResult & { reason: string })[] = [];
      const fail = (email: string, reason: string) => failed.push({ email, status: 'Failed', message: reason, reason });
      for (const email of new Set(emails.map((address) => address.toLowerCase()))) {
        if (!EMAIL.test(email)) {
          fail(email, 'is no e-mail address');
          continue;
        }
        const user = await auth.findByEmail(admin.token, email);
        if (user) done.push(await assignUser(id, user));
        else fail(email, 'User not found');
      }
      return { done, failed };
    },

    async refreshUser(admin: Asker, email: string): Promise<AuthUser> {
      const user = await requireUser(admin, email);
      await chatflows.renameUser({ userId: user.id, username: user.username, email: user.email });
      return user;
    },
  };
}
export type Assignments = ReturnType<typeof createAssignments>;
