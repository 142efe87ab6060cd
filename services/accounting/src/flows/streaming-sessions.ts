import { randomUUID } from 'node:crypto';
import type { accounting, ServerResult, Units } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { actorOf, claimsOf, type Person } from '../domain/callers.ts';
import { fingerprintOf } from '../domain/fingerprint.ts';
import type { HoldRecord } from '../domain/hold-state.ts';
import { sessionUnits } from '../domain/session-units.ts';
import type { Ports, SessionFilter } from '../ports.ts';
import { type Call, holdClosed, pinnedPrice } from './hold-credits.ts';
import type { Answered } from './once.ts';
import { billOf, priceOf } from './price-operation.ts';
import { refusalOf } from './refuse-hold.ts';
import type { Viewer } from './report-usage.ts';
import { viewOf } from './workspaces/view-of.ts';

type Deps = Pick<Ports, 'holds' | 'prices' | 'rules' | 'events'>;
type Opening = Readonly<{ sessionId: string; modelId: string; estimatedTokens: number }>;
type Opened = ServerResult<typeof accounting.initializeSession>;
export type SessionEnd = Readonly<{ sessionId: string; tokens: number; outcome: accounting.Outcome }>;

/** A hold that a user opens on its own account, under a label of its own. Repeating it gives the same session. */
export const createOpenSession = (deps: Deps) =>
  async function openSession(caller: Person, opening: Opening, call: Call): Promise<Answered<Opened>> {
    const { holds, rules, events } = deps;
    const { sessionId, modelId, estimatedTokens } = opening;
    const resource = { upstream: 'openai', model: modelId };
    const request = {
      holdId: randomUUID(),
      claims: claimsOf(caller),
      openedBy: 'user',
      sessionId,
      // Apart from the keys that services and deductions use on the same account.
      key: `session:${call.key}`,
      fingerprint: fingerprintOf(opening),
      resource,
      workspaceId: caller.workspaceId,
      apiKeyId: caller.apiKey?.id,
      price: await priceOf(deps, resource, caller.userId),
      units: sessionUnits(estimatedTokens),
      leaseSeconds: rules.sessionLeaseSeconds,
      actor: actorOf(caller),
      requestId: call.requestId,
    };
    const opened = await holds.open(request, call.signal);
    if (opened.outcome === 'mismatch') throw new AppError('IDEMPOTENCY_KEY_REUSED');
    if (!('hold' in opened)) throw refusalOf(deps, caller.userId, opened);
    if (opened.outcome === 'closed') throw holdClosed(opened.hold, opened.available);
    const { hold, outcome } = opened;
    if (outcome === 'opened')
      events.holdOpened({ holdId: hold.holdId, userId: hold.userId, credits: hold.heldCredits, clamped: false });
    return {
      value: { sessionId, session_id: sessionId, allocatedCredits: hold.heldCredits, status: 'active' },
      replayed: outcome === 'replayed',
    };
  };

/** Closes a session that the caller opened itself; a hold of a service is out of its reach. */
export const createCloseSession = (deps: Deps) =>
  async function closeSession(
    caller: Person,
    end: SessionEnd,
    { key, requestId }: Call,
  ): Promise<Answered<HoldRecord>> {
    const { holds, rules, events } = deps;
    const session = await holds.findSession(caller.userId, end.sessionId);
    if (!session) throw new AppError('NOT_FOUND', 'Unknown session');
    if (session.status !== 'active' && session.closeKey !== key) throw holdClosed(session, session.availableAfter ?? 0);
    const units: Units = sessionUnits(end.tokens);
    const closed = await holds.close({
      holdId: session.holdId,
      userId: caller.userId,
      openedBy: 'user',
      cause: 'settle',
      ...billOf(await pinnedPrice(deps, session), units),
      outcome: end.outcome,
      units,
      usageSource: 'estimated',
      key,
      fingerprint: fingerprintOf(end),
      policy: rules.overrunPolicy,
      actor: actorOf(caller),
      requestId,
    });
    if (closed.outcome === 'mismatch') throw new AppError('IDEMPOTENCY_KEY_REUSED');
    if (!('hold' in closed)) throw new AppError('NOT_FOUND', 'Unknown session');
    if (closed.outcome === 'final') throw holdClosed(closed.hold, closed.available);
    if (closed.outcome === 'done') events.holdClosed({ cause: 'settle', hold: closed.hold });
    return { value: closed.hold, replayed: closed.outcome === 'same' };
  };

/** Sessions of a user or of everybody, newest first; of others as far as the caller may look. */
export const createListSessions = (deps: Pick<Ports, 'accounts' | 'reports' | 'rules'>) =>
  async function listSessions(caller: Viewer, filter: Omit<SessionFilter, 'within'>): Promise<HoldRecord[]> {
    const within = caller === 'owner' ? undefined : await viewOf(deps, caller, filter.userId);
    return deps.reports.sessions({ ...filter, within });
  };
