import { auth } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import { originOf } from './origin.ts';
import { existenceView, profileView } from './views.ts';

const RESET_REQUESTED = 'If your email exists in our system, you will receive a password reset link';

export const accountRoutes = (flows: Flows): Route[] => [
  serve(auth.signUp).with(async ({ body }, _caller, context) => ({
    message: 'User registered successfully. Please verify your email.',
    userId: await flows.signUp(body, originOf(context)),
  })),
  serve(auth.verifyEmail).with(async ({ body }, _caller, context) => {
    await flows.verifyEmail(body.token, body.email, originOf(context));
    return { message: 'Email verified successfully' };
  }),
  serve(auth.resendVerification).with(async ({ body }, _caller, context) => {
    await flows.requestMail('verification', body.email, originOf(context));
    return { message: 'Verification code resent' };
  }),
  serve(auth.requestPasswordReset).with(async ({ body }, _caller, context) => {
    await flows.requestMail('password-reset', body.email, originOf(context));
    return { message: RESET_REQUESTED };
  }),
  serve(auth.resetPassword).with(async ({ body }, _caller, context) => {
    await flows.resetPassword(body.token, body.newPassword, originOf(context));
    return { message: 'Password reset successful' };
  }),
  serve(auth.readUser).with(async ({ params }, caller) =>
    existenceView(await flows.lookUpUser(caller, params.userId), caller.role === 'admin'),
  ),
  serve(auth.readProfile).with(async (_input, caller) => ({ user: profileView(await flows.readProfile(caller)) })),
  serve(auth.updateProfile).with(async ({ body }, caller, context) => ({
    user: profileView(await flows.updateProfile(caller, body, originOf(context))),
  })),
  serve(auth.changePassword).with(async ({ body }, caller, context) => {
    await flows.changePassword(caller, body, originOf(context));
    return { message: 'Password changed successfully' };
  }),
  serve(auth.readDashboard).with((_input, { userId, username, role }) => ({
    message: 'This is protected content for your dashboard',
    user: { userId, username, role },
  })),
];
