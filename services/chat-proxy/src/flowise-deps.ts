import { createHash, randomUUID } from 'node:crypto';
import { idOfKey, reachable, type VerifyKey } from '@tollgate/http-kit';
import { troubleOf } from '@tollgate/mongo-kit';
import type { AppFlows } from './app.ts';
import type { Config } from './config.ts';
import { createAllowOrigin } from './flows/flowise/allow-origin.ts';
import { createFindWindow } from './flows/flowise/find-window.ts';
import { createLeaveLead } from './flows/flowise/leave-lead.ts';
import { createOpenChat } from './flows/flowise/open-chat.ts';
import { createRateAnswer } from './flows/flowise/rate-answer.ts';
import { createReadChat } from './flows/flowise/read-chat.ts';
import type { AnswerRequests } from './flows/answers/answer-requests.ts';
import type { Clock } from './ports.ts';
import { feedbacksIn } from './store/feedback.ts';
import { flowOriginsIn } from './store/flow-origins.ts';
import { leadsIn } from './store/leads.ts';
import { nameKeyIn } from './store/name-key.ts';
import type { Stores } from './store-deps.ts';

interface Neighbours {
  readonly stores: Stores;
  readonly sessions: AppFlows['sessions'];
  readonly answering: Pick<AnswerRequests, 'chat' | 'stop'>;
  readonly verifyKey: VerifyKey;
  readonly stream: AppFlows['chat']['stream'];
  readonly clock: Clock;
}

/** The door of Flowise's own clients. */
export function createFlowiseDoor(config: Config, neighbours: Neighbours) {
  const { stores, sessions, answering, verifyKey, stream, clock } = neighbours;
  const { mongo, chatflows } = stores;
  const newId = randomUUID;
  const openChat = createOpenChat({
    nameKey: reachable(nameKeyIn(mongo), troubleOf),
    defaultWorkspaceId: config.DEFAULT_WORKSPACE_ID,
    newLabel: (key) => (key === undefined ? newId() : createHash('sha256').update(key).digest('base64url')),
  });
  const findWindow = createFindWindow({ chatflows });
  const feedbacks = reachable(feedbacksIn(mongo), troubleOf);
  const leads = reachable(leadsIn(mongo), troubleOf);
  return {
    isOriginAllowed: createAllowOrigin(flowOriginsIn(mongo, { freshMs: config.CHATFLOW_FRESHNESS })),
    flows: {
      chat: answering.chat,
      stop: answering.stop,
      stream,
      openChat,
      findWindow,
      leaveLead: createLeaveLead({ findWindow, leads, newId, clock }),
      chats: createReadChat({ openChat, ...sessions }),
      ratings: createRateAnswer({ openChat, feedbacks, newId, clock }),
      isKey: async (key: string, ip: string) => idOfKey(key) !== undefined && (await verifyKey(key, ip)) !== undefined,
    },
  };
}
