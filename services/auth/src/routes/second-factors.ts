import { auth } from '@tollgate/contracts';
import { reply, type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import type { Enrolment } from '../ports/second-factors.ts';
import { type CookieRules, originOf } from './origin.ts';
import { logInAnswer } from './sessions.ts';
import { deviceTokenOf } from './trusted-device.ts';

export const secondFactorRoutes = (flows: Flows, cookies: CookieRules): Route[] => [
  serve(auth.verifySecondFactor).with(async ({ body }, _caller, context) => {
    const deviceToken = deviceTokenOf(context, cookies);
    const { outcome, backupCodes } = await flows.verifySecondFactor({ ...body, deviceToken }, originOf(context));
    const answer = logInAnswer(flows, outcome, { cookies, deviceToken });
    return reply(answer.status, { ...answer.body, ...(backupCodes && { backupCodes }) }, answer);
  }),
  serve(auth.enrolAtLogIn).with(async ({ body }, _caller, context) =>
    enrolmentView(await flows.enrolAtLogIn(body.challenge, originOf(context))),
  ),
  serve(auth.stepUp).with(async ({ body }, caller, context) => ({
    message: 'You may make sensitive changes now',
    until: (await flows.stepUp(caller, body, originOf(context))).toISOString(),
  })),
  serve(auth.readSecondFactor).with(async (_input, caller) => {
    const { enabledAt, backupCodesLeft, isRequired } = await flows.readSecondFactor(caller);
    const since = enabledAt ? { enabledAt: enabledAt.toISOString() } : {};
    return { enabled: enabledAt !== undefined, ...since, backupCodesLeft, required: isRequired };
  }),
  serve(auth.enrolTotp).with(async (_input, caller) => enrolmentView(await flows.enrolTotp(caller))),
  serve(auth.confirmTotp).with(async ({ body }, caller, context) => ({
    message: 'Second factor set up',
    backupCodes: await flows.confirmTotp(caller, body.code, originOf(context)),
  })),
  serve(auth.disableTotp).with(async (_input, caller, context) => {
    await flows.disableTotp(caller, originOf(context));
    return { message: 'Second factor removed' };
  }),
  serve(auth.replaceBackupCodes).with(async (_input, caller, context) => ({
    message: 'New backup codes made; the old ones are void',
    backupCodes: await flows.replaceBackupCodes(caller, originOf(context)),
  })),
  serve(auth.resetSecondFactor).with(async ({ params }, caller, context) => {
    await flows.resetSecondFactor(caller, params.userId, originOf(context));
    return { message: 'Second factor removed' };
  }),
];

const enrolmentView = ({ secret, uri, qrCode }: Enrolment) => ({ secret, otpauthUri: uri, qrCode });
