import { randomBytes } from 'node:crypto';
import {
  accounting,
  auth,
  chargeFor,
  type Credits,
  type HoldId,
  type Price,
  type Units,
  type UserId,
} from '@tollgate/contracts';
import { AppError, createAuthenticator, createHealth, type Route, serve, type ServiceCaller } from '@tollgate/http-kit';
import { createFastifyApp } from '@tollgate/http-kit/fastify';
import { createServiceVerifier, createVerifier } from '@tollgate/jwt-claims';
import type { ClosedHold, Hold } from '../src/domain/wire-types.ts';
import { credits, MESSAGE_PRICE, TOKEN_PRICE } from './doubles.ts';

export const SECRETS = {
  accessSecret: randomBytes(48).toString('base64url'),
  refreshSecret: randomBytes(48).toString('base64url'),
  serviceSecret: randomBytes(48).toString('base64url'),
};
const keys = (secret: string) => [{ kid: 'k1', secret }];
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

async function listen(service: 'auth' | 'accounting', routes: readonly Route[]) {
  const app = await createFastifyApp({
    service,
    version: '0',
    routes,
    authenticate: createAuthenticator({
      verifyAccess: createVerifier({ keys: keys(SECRETS.accessSecret), issuer: 'tollgate', audience: service })
        .verifyAccess,
      verifyService: createServiceVerifier({ keys: keys(SECRETS.serviceSecret), audience: service }).verifyService,
    }),
    health: createHealth({ service, checks: {} }),
    logger: silent,
    allowedOrigins: [],
    trustProxyHops: 0,
    production: false,
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url, close: () => app.close() };
}

interface Entry {
  hold: Hold;
  readonly userId: UserId;
  closed?: ClosedHold;
}

/** Accounting at the socket: the contract's own routes over a balance per user, with switches for what may go wrong. */
export async function startAccounting() {
  const balances = new Map<string, number>();
  const holds = new Map<HoldId, Entry>();
  const settlements: { holdId: HoldId; kind: 'settle' | 'void'; units?: Units; outcome?: string }[] = [];
  const bank = { isAway: false, holdCalls: 0, renewals: 0 };
  const priceOf = (model: string): Price => (model === 'priced' ? TOKEN_PRICE : MESSAGE_PRICE);
  const balanceOf = (id: string) => balances.get(id) ?? 0;
  const move = (id: string, amount: number) => void balances.set(id, balanceOf(id) + amount);
  const owner = (caller: ServiceCaller): UserId => {
    if (bank.isAway) throw new AppError('DEPENDENCY_UNAVAILABLE');
    if (!caller.onBehalfOf) throw new AppError('FORBIDDEN');
    return caller.onBehalfOf.userId;
  };
  const entryOf = (id: HoldId, caller: ServiceCaller): Entry => {
    const entry = holds.get(id);
    if (!entry || entry.userId !== owner(caller)) throw new AppError('NOT_FOUND');
    return entry;
  };

  function close(
    entry: Entry,
    ending: { kind: 'settle' | 'void'; units: Units; outcome: ClosedHold['outcome'] },
  ): ClosedHold {
    if (entry.closed) return { ...entry.closed, alreadyFinal: true };
    const { holdId, heldCredits, price } = entry.hold;
    settlements.push({
      holdId,
      kind: ending.kind,
      units: ending.units,
      ...(ending.outcome && { outcome: ending.outcome }),
    });
    const wanted = ending.kind === 'void' ? 0 : chargeFor(price, ending.units);
    const charged = Math.min(wanted, heldCredits + balanceOf(entry.userId));
    move(entry.userId, heldCredits - charged);
    entry.closed = {
      holdId,
      status: ending.kind === 'void' ? 'voided' : 'settled',
      outcome: ending.outcome,
      heldCredits,
      chargedCredits: credits(charged),
      releasedCredits: credits(Math.max(0, heldCredits - charged)),
      expiredCredits: credits(0),
      writtenOffCredits: credits(wanted - charged),
      debtCredits: credits(0),
      availableCredits: credits(balanceOf(entry.userId)),
      alreadyFinal: false,
    };
    return entry.closed;
  }

  function grant(
    userId: UserId,
    asking: { holdId: HoldId; price: Price; asked: Units; minOutput?: number | undefined },
  ): Hold {
    const { holdId, price, asked, minOutput = 0 } = asking;
    let units = asked;
    if (chargeFor(price, units) > balanceOf(userId)) {
      const output = Math.floor((balanceOf(userId) * 1_000_000) / (price.unitPrices.output ?? 1));
      units = { ...asked, output: Math.min(asked.output ?? 0, output) };
      if (!minOutput || (units.output ?? 0) < minOutput || chargeFor(price, units) > balanceOf(userId))
        throw new AppError('INSUFFICIENT_CREDITS');
    }
    const held = chargeFor(price, units);
    move(userId, 0 - held);
    return {
      holdId,
      status: 'active',
      heldCredits: held,
      fence: 1,
      leaseExpiresAt: new Date().toISOString(),
      price,
      units,
      clamped: units !== asked,
      availableCredits: credits(balanceOf(userId)),
    };
  }

  const server = await listen('accounting', [
    serve(accounting.holdCredits).with(({ body }, caller) => {
      bank.holdCalls += 1;
      const userId = owner(caller);
      if (!caller.onBehalfOf?.user) throw new AppError('FORBIDDEN', 'a hold needs the user’s own token');
      const known = holds.get(body.holdId);
      if (known) return known.hold;
      const hold = grant(userId, {
        holdId: body.holdId,
        price: priceOf(body.resource.model),
        asked: body.units,
        minOutput: body.minOutput,
      });
      holds.set(body.holdId, { hold, userId });
      return hold;
    }),
    serve(accounting.extendHold).with(({ params, body }, caller) => {
      const entry = entryOf(params.holdId, caller);
      const more = chargeFor(entry.hold.price, body.units) - entry.hold.heldCredits;
      if (more > balanceOf(entry.userId)) throw new AppError('INSUFFICIENT_CREDITS');
      move(entry.userId, 0 - more);
      entry.hold = { ...entry.hold, units: body.units, heldCredits: (entry.hold.heldCredits + more) as Credits };
      return entry.hold;
    }),
    serve(accounting.renewHolds).with(({ body }) => {
      bank.renewals += body.holds.length;
      return {
        holds: body.holds.map(({ holdId }) => {
          const entry = holds.get(holdId);
          const outcome = !entry ? ('unknown' as const) : entry.closed ? ('closed' as const) : ('renewed' as const);
          return { holdId, outcome, leaseExpiresAt: null };
        }),
      };
    }),
    serve(accounting.settleHold).with(({ params, body }, caller) =>
      close(entryOf(params.holdId, caller), { kind: 'settle', units: body.units, outcome: body.outcome }),
    ),
    serve(accounting.voidHold).with(({ params }, caller) =>
      close(entryOf(params.holdId, caller), { kind: 'void', units: {}, outcome: null }),
    ),
    serve(accounting.readTotalBalance).with((_, caller) => {
      if (bank.isAway) throw new AppError('DEPENDENCY_UNAVAILABLE');
      const own = credits(balanceOf(caller.userId));
      return { totalCredits: own, credits: own, available: own, held: credits(0), expiringSoon: credits(0) };
    }),
  ]);
  return Object.assign(bank, server, {
    balances,
    balanceOf,
    settlements,
    openHolds: () => [...holds.values()].filter(({ closed }) => !closed).length,
    /** Ends a hold behind the proxy's back, as the sweeper does. */
    sweep: (id: HoldId) => {
      const entry = holds.get(id);
      if (entry) close(entry, { kind: 'void', units: {}, outcome: null });
    },
    holdIds: () => [...holds.keys()],
  });
}

export type AccountingDouble = Awaited<ReturnType<typeof startAccounting>>;

/** Auth at the socket, with one user whose password is known and a list of others. */
export async function startAuth() {
  const user = (id: string, username: string) => ({
    _id: id as UserId,
    username,
    email: `${username}@example.test`,
    isVerified: true,
    role: 'enduser' as const,
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
  });
  const people = new Map<string, ReturnType<typeof user>>();
  const ended: string[] = [];
  const server = await listen('auth', [
    serve(auth.logIn).with(({ body }) => {
      if (body.password !== 'right') throw new AppError('INVALID_CREDENTIALS');
      const { _id, ...rest } = user('0123456789abcdef01234567', body.username);
      return {
        message: 'Login successful',
        accessToken: 'access',
        refreshToken: 'refresh',
        user: { ...rest, id: _id },
      };
    }),
    serve(auth.refreshSession).with(({ body }) => {
      if (body.refreshToken !== 'refresh') throw new AppError('INVALID_REFRESH_TOKEN');
      return { message: 'ok', accessToken: 'access-2', refreshToken: 'refresh-2' };
    }),
    serve(auth.logOutAll).with((_, caller) => {
      ended.push(caller.userId);
      return { message: 'Logged out from all devices' };
    }),
    serve(auth.readProfile).with((_, caller) => ({ user: { ...user(caller.userId, 'me-myself'), __v: 0 } })),
    serve(auth.readUserByEmail).with(({ params }) => {
      const person = people.get(params.email);
      if (!person) throw new AppError('NOT_FOUND');
      return { user: person };
    }),
  ]);
  return Object.assign(server, {
    ended,
    add: (id: string, username: string) => {
      const person = user(id, username);
      people.set(person.email, person);
      return person;
    },
  });
}

export type AuthDouble = Awaited<ReturnType<typeof startAuth>>;
