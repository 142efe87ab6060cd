import { auth } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';

/** Never mounted in production: config.ts refuses to start with the flag. */
export const testingRoutes = (flows: Flows): Route[] => [
  serve(auth.readVerificationCode).with(({ params }) => mailedSecret(flows, { ...params, type: 'email' })),
  serve(auth.readMailedSecret).with(({ params }) => mailedSecret(flows, params)),
  serve(auth.verifyUserDirectly).with(async ({ params }) => {
    const { id, username, email, isVerified } = await flows.verifyDirectly(params.userId);
    return { message: 'User email verified successfully', user: { id, username, email, isEmailVerified: isVerified } };
  }),
];

async function mailedSecret(
  flows: Flows,
  {
    userId,
    type,
  }: Parameters<typeof flows.readMailedSecret> extends [infer Id, infer Type] ? { userId: Id; type: Type } : never,
) {
  const { token, expires } = await flows.readMailedSecret(userId, type);
  return { token, expires: expires.toISOString(), type };
}
