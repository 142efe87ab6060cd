import { randomUUID } from 'node:crypto';
import { createRounds, type Rounds } from '@tollgate/http-kit';
import type { AppFlows } from './app.ts';
import type { Config } from './config.ts';
import type { FileLinks } from './domain/files/file-links.ts';
import type { Facts, Tell } from './domain/facts.ts';
import { createAssignments } from './flows/chatflows/assign-chatflow.ts';
import { createReadChatflows } from './flows/chatflows/read-chatflows.ts';
import { createRuleWorkspaces } from './flows/chatflows/rule-workspaces.ts';
import { createSyncChatflows } from './flows/chatflows/sync-chatflows.ts';
import { createDeleteConversations } from './flows/conversations/delete-conversations.ts';
import { createFinishAbandoned } from './flows/conversations/finish-abandoned.ts';
import { createForgetUpstream } from './flows/conversations/forget-upstream.ts';
import { createReadConversations } from './flows/conversations/read-conversations.ts';
import type { Auth, Clock } from './ports.ts';
import type { Stores } from './store-deps.ts';
import type { Upstreams } from './upstream-deps.ts';

const FORGET_EVERY_MS = 15_000;
const ABANDONED_EVERY_MS = 15_000;

interface Neighbours {
  readonly stores: Stores;
  readonly links: FileLinks;
  readonly auth: Auth;
  readonly upstreams: Upstreams;
  readonly clock: Clock;
  readonly tell: Tell;
}

export interface Library {
  readonly flows: Pick<AppFlows, 'sessions' | 'chatflows' | 'admin' | 'workspaces'>;
  /** Brings the chatflows up to date, as at the start of the service. */
  synchronise(): Promise<unknown>;
  readonly rounds: readonly Rounds[];
}

type Task = Facts['background_failed']['task'];

/** Conversations and chatflows: what users and administrators do with them, and what is done in the background. */
export function createLibrary(config: Config, { stores, links, auth, upstreams, clock, tell }: Neighbours): Library {
  const { chatflows, sessions, messages, forgetting, files } = stores;
  const { catalogues } = upstreams;
  const { SYNC_MAX_DELETED_PERCENT: mostDeletedPercent } = config;
  const sync = createSyncChatflows({ catalogues, chatflows, clock, tell, mostDeletedPercent });
  const erasing = { sessions, messages, forgetting, files, clock };
  const read = createReadChatflows({ chatflows });
  const every = (task: Task, everyMs: number, turn: () => Promise<unknown>) =>
    createRounds(turn, {
      everyMs,
      failed: (error) => tell('background_failed', { task, reason: String(error) }),
    });
  return {
    flows: {
      sessions: {
        read: createReadConversations({ sessions, messages, files }),
        links,
        remove: createDeleteConversations(erasing),
      },
      chatflows: read,
      admin: { sync, read, assignments: createAssignments({ chatflows, auth, clock }) },
      workspaces: createRuleWorkspaces({ chatflows, auth, clock }),
    },
    synchronise: sync,
    rounds: [
      every('forget', FORGET_EVERY_MS, createForgetUpstream({ ...erasing, flowise: upstreams })),
      every('abandoned', ABANDONED_EVERY_MS, createFinishAbandoned({ sessions, messages, newId: randomUUID, clock })),
      ...(config.SYNC_INTERVAL > 0 ? [every('sync', config.SYNC_INTERVAL, sync)] : []),
    ],
  };
}
