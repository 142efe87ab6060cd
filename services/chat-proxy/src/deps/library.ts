import { randomUUID } from 'node:crypto';
import { createRounds, type Rounds } from '@tollgate/http-kit';
import type { createHeartbeats } from '@tollgate/telemetry';
import type { AppFlows } from '../app.ts';
import type { Config } from '../config.ts';
import type { FileLinks } from '../domain/files/file-links.ts';
import type { Facts, Tell } from '../domain/facts.ts';
import type { UserId } from '../domain/wire-types.ts';
import { createAssignments } from '../flows/chatflows/assign-chatflow.ts';
import { createReadChatflows } from '../flows/chatflows/read-chatflows.ts';
import { createRuleWorkspaces } from '../flows/chatflows/rule-workspaces.ts';
import { createSyncChatflows } from '../flows/chatflows/sync-chatflows.ts';
import { createSyncInTurn } from '../flows/chatflows/sync-in-turn.ts';
import { createDeleteConversations } from '../flows/conversations/delete-conversations.ts';
import { createEnforceRetention } from '../flows/conversations/enforce-retention.ts';
import { createEraseAccounts } from '../flows/conversations/erase-accounts.ts';
import { createExportConversations } from '../flows/conversations/export-conversations.ts';
import { createFinishAbandoned } from '../flows/conversations/finish-abandoned.ts';
import { createForgetUpstream } from '../flows/conversations/forget-upstream.ts';
import { createReadConversations } from '../flows/conversations/read-conversations.ts';
import type { Auth, Clock } from '../ports.ts';
import type { Stores } from './store.ts';
import type { Upstreams } from './upstream.ts';

const FORGET_EVERY_MS = 15_000;
const ERASURES_EVERY_MS = 60_000;
const RETENTION_EVERY_MS = 600_000;
/** Share of the pause between two rounds, which is never kept to the millisecond. */
const TURN = 0.8;

interface Neighbours {
  readonly stores: Stores;
  readonly links: FileLinks;
  readonly auth: Auth;
  readonly upstreams: Upstreams;
  readonly clock: Clock;
  readonly tell: Tell;
  readonly beat: ReturnType<typeof createHeartbeats>;
}

export interface Library {
  readonly flows: Pick<AppFlows, 'sessions' | 'chatflows' | 'admin' | 'workspaces'>;
  /** Brings the chatflows up to date, as at the start of the service. */
  synchronise(): Promise<unknown>;
  /** Told by auth's feed. */
  accountsDeleted(userIds: readonly UserId[]): void;
  readonly rounds: readonly Rounds[];
}

type Task = Facts['background_failed']['task'];

/** Conversations and chatflows: what users and administrators do with them, and what is done in the background. */
export function createLibrary(config: Config, neighbours: Neighbours): Library {
  const { stores, links, auth, upstreams, clock, tell, beat } = neighbours;
  const { chatflows, sessions, messages, forgetting, files, turns, leads, keptAnswers } = stores;
  const { catalogues } = upstreams;
  const { SYNC_MAX_DELETED_PERCENT: mostDeletedPercent, SYNC_INTERVAL: syncEveryMs } = config;
  const sync = createSyncChatflows({ catalogues, chatflows, clock, tell, mostDeletedPercent });
  const inTurn = { sync, turns, clock, turnMs: TURN * syncEveryMs };
  // Instances that were started together must not ask together for ever.
  const firstSyncMs = syncEveryMs * (0.5 + 0.5 * Math.random());
  const readChatflows = createReadChatflows({ chatflows });
  const erasing = { sessions, messages, forgetting, files, keptAnswers, clock };
  const remove = createDeleteConversations(erasing);
  const accounts = createEraseAccounts({
    erasures: stores.erasures,
    chatflows,
    async ofUser(userId) {
      await leads.forgetOf(userId);
      return remove.ofUser(userId);
    },
    clock,
    afterMs: config.DELETED_ACCOUNT_ERASURE,
  });
  const every = (task: Task, everyMs: number, turn: () => Promise<unknown>, delayMs = 0) =>
    createRounds(turn, {
      everyMs,
      delayMs,
      finished: beat(task, everyMs),
      failed: (error) => tell('background_failed', { task, reason: String(error) }),
    });
  const erasures = every('erasures', ERASURES_EVERY_MS, accounts.eraseNext);
  return {
    flows: {
      sessions: {
        read: createReadConversations({ sessions, messages, files, clock }),
        exported: createExportConversations({ sessions, messages, files }),
        links,
        remove,
      },
      chatflows: readChatflows,
      admin: { sync, read: readChatflows, assignments: createAssignments({ chatflows, auth, clock }) },
      workspaces: createRuleWorkspaces({ chatflows, auth, clock }),
    },
    synchronise: sync,
    accountsDeleted(userIds) {
      accounts.told(userIds);
      erasures.nudge();
    },
    rounds: [
      every('forget', FORGET_EVERY_MS, createForgetUpstream({ ...erasing, flowise: upstreams })),
      every(
        'abandoned',
        config.ABANDONED_INTERVAL,
        createFinishAbandoned({ sessions, messages, newId: randomUUID, clock }),
      ),
      every(
        'retention',
        RETENTION_EVERY_MS,
        createEnforceRetention({ ...erasing, chatflows, turns, turnMs: TURN * RETENTION_EVERY_MS }),
      ),
      erasures,
      ...(syncEveryMs > 0 ? [every('sync', syncEveryMs, createSyncInTurn(inTurn), firstSyncMs)] : []),
    ],
  };
}
