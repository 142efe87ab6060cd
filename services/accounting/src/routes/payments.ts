import { accounting, type UserId } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import type { Flows } from '../flows.ts';
import { answered, nextCursor, oneTime, pageOf } from './answers.ts';

const personOf = ({ userId }: { userId: UserId }) => `user:${userId}`;
const same = <T>(value: T): T => value;

export const paymentRoutes = (flows: Flows): Route[] => [
  serve(accounting.refundCharge).with(async ({ body }, caller, context) => {
    const request = oneTime(personOf(caller), accounting.refundCharge, context, body);
    const answer = await flows.refundCharge(caller, request, { ...body, requestId: context.requestId });
    return answered(201, answer, ({ refundable, available, ...refund }) => ({
      ...refund,
      credits: body.credits,
      refundableCredits: refundable,
      availableCredits: available,
    }));
  }),
  ...topUpRoutes(flows),
  ...voucherRoutes(flows),
];

const topUpRoutes = (flows: Flows): Route[] => [
  serve(accounting.orderTopUp).with(async ({ body }, caller, context) =>
    answered(
      201,
      await flows.orderTopUp(caller, oneTime(personOf(caller), accounting.orderTopUp, context, body), body),
      same,
    ),
  ),
  serve(accounting.listTopUps).with(async ({ query }, caller) => {
    const topups = await flows.listTopUps(caller, pageOf(query));
    const positions = topups.map(({ position }) => position);
    return { topups, nextCursor: nextCursor(positions, query.limit) };
  }),
  serve(accounting.readTopUp).with(({ params }, caller) => flows.readTopUp(caller, params.orderId)),
  serve(accounting.receivePayment).with(async ({ params, body }, _caller, { headers, requestId }) => ({
    received: true as const,
    ...(await flows.receivePayment(params.provider, { body, headers }, requestId)),
  })),
];

const voucherRoutes = (flows: Flows): Route[] => [
  serve(accounting.createVouchers).with(async ({ body }, caller, context) => {
    const request = oneTime(personOf(caller), accounting.createVouchers, context, body);
    return answered(201, await flows.createVouchers(caller, request, body), (vouchers) => ({
      vouchers: [...vouchers],
    }));
  }),
  serve(accounting.redeemVoucher).with(async ({ body: { code } }, caller, context) => {
    const request = oneTime(personOf(caller), accounting.redeemVoucher, context, { code });
    return answered(200, await flows.redeemVoucher(caller, request, { code, requestId: context.requestId }), same);
  }),
  serve(accounting.listVouchers).with(async ({ query }) => {
    const vouchers = await flows.listVouchers(pageOf(query));
    const positions = vouchers.map(({ id }) => id);
    return { vouchers, nextCursor: nextCursor(positions, query.limit) };
  }),
  serve(accounting.voidVoucher).with(({ params }, caller) => flows.voidVoucher(caller, params.id)),
];
