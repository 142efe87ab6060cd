import { auth } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import { originOf } from './origin.ts';
import { accountView, adminView } from './views.ts';

type Reset = Parameters<Flows['resetUserPassword']>[2];

const wayOf = ({ newPassword, sendLink }: { newPassword?: string | undefined; sendLink: boolean }): Reset => {
  if (sendLink) return { how: 'link' };
  return newPassword === undefined ? { how: 'generated' } : { how: 'chosen', password: newPassword };
};

const CREATED = {
  ready: 'User created successfully and is ready to use the system.',
  mailed: 'User created successfully. Verification email has been sent.',
};

export const adminUserRoutes = (flows: Flows): Route[] => [
  serve(auth.listUsers).with(async ({ query }) => {
    const { users, nextCursor } = await flows.listUsers(query, query);
    return { users: users.map(accountView), nextCursor };
  }),
  serve(auth.readUserByEmail).with(async ({ params }) => ({
    user: accountView(await flows.readUserByEmail(params.email)),
  })),
  serve(auth.readUserAsAdmin).with(async ({ params }, caller) => ({
    user: adminView(await flows.lookUpUser(caller, params.userId)),
  })),
  serve(auth.createUser).with(async ({ body: { skipVerification, ...account } }, caller, context) => ({
    userId: await flows.createUser(caller, { ...account, isVerified: skipVerification }, originOf(context)),
    message: skipVerification ? CREATED.ready : CREATED.mailed,
  })),
  serve(auth.createUsers).with(async ({ body }, caller, context) => {
    const results = await flows.createUsers(caller, body.users, body.skipVerification, originOf(context));
    const [total, successful] = [results.length, results.filter(({ success }) => success).length];
    const message = `${successful} of ${total} users created successfully`;
    return { message, results, summary: { total, successful, failed: total - successful } };
  }),
  serve(auth.changeRole).with(async ({ params, body }, caller, context) => ({
    user: accountView(await flows.changeRole(caller, params.userId, body.role, originOf(context))),
    message: 'User role updated successfully',
  })),
  serve(auth.lockUser).with(async ({ params }, caller, context) => ({
    user: accountView(await flows.changeStatus(caller, params.userId, 'lock', originOf(context))),
    message: 'User locked successfully',
  })),
  serve(auth.unlockUser).with(async ({ params }, caller, context) => ({
    user: accountView(await flows.changeStatus(caller, params.userId, 'unlock', originOf(context))),
    message: 'User unlocked successfully',
  })),
  serve(auth.setUserStatus).with(async ({ params, body }, caller, context) => {
    const change = body.status === 'active' ? 'enable' : 'disable';
    const user = accountView(await flows.changeStatus(caller, params.userId, change, originOf(context)));
    return { user, message: `User ${change}d successfully` };
  }),
  serve(auth.signOutUser).with(async ({ params }, caller, context) => {
    await flows.logOutAll(caller, params.userId, originOf(context));
    return { message: 'User signed out from all devices' };
  }),
  serve(auth.deleteUser).with(async ({ params }, caller, context) => ({
    user: await flows.deleteUser(caller, params.userId, originOf(context)),
    message: 'User deleted successfully',
  })),
  serve(auth.deleteUsers).with(async ({ body }, caller, context) => ({
    message: `${await flows.deleteAllUsers(caller, body, originOf(context))} users deleted successfully`,
    preservedAdmins: body.preserveAdmins,
  })),
  serve(auth.resetUserPassword).with(async ({ params, body }, caller, context) => ({
    ...(await flows.resetUserPassword(caller, params.userId, wayOf(body), originOf(context))),
    message: 'User password reset successfully',
  })),
  serve(auth.readReports).with((_input, { role }) => ({ message: 'Reports accessed successfully', role })),
  serve(auth.readUserDashboard).with((_input, { role }) => ({ message: 'User dashboard accessed successfully', role })),
];
