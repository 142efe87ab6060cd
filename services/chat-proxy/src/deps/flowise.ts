import { randomUUID } from 'node:crypto';
import { idOfKey, reachable, type VerifyKey } from '@tollgate/http-kit';
import { troubleOf } from '@tollgate/mongo-kit';
import type { AppFlows } from '../app.ts';
import type { Answering } from './answer.ts';
import type { Config } from '../config.ts';
import type { Tell } from '../domain/facts.ts';
import { createAllowOrigin } from '../flows/flowise/allow-origin.ts';
import { createAttachFiles } from '../flows/flowise/attach-files.ts';
import { createFindChat } from '../flows/flowise/find-chat.ts';
import { createFindWindow } from '../flows/flowise/find-window.ts';
import { createLeaveLead } from '../flows/flowise/leave-lead.ts';
import { createOpenChat } from '../flows/flowise/open-chat.ts';
import { createRateAnswer } from '../flows/flowise/rate-answer.ts';
import { createReadChat } from '../flows/flowise/read-chat.ts';
import { createReadUpload } from '../flows/flowise/read-upload.ts';
import { createSpeak } from '../flows/flowise/speak.ts';
import type { Clock } from '../ports.ts';
import type { FlowiseFlows } from '../routes/flowise.ts';
import { feedbacksIn } from '../store/flowise/feedback.ts';
import { flowOriginsIn } from '../store/chatflows/flow-origins.ts';
import { nameKeyIn } from '../store/flowise/name-key.ts';
import type { Stores } from './store.ts';
import type { Upstreams } from './upstream.ts';

interface Neighbours {
  readonly stores: Stores;
  readonly upstreams: Pick<Upstreams, 'side'>;
  readonly conversations: AppFlows['sessions'];
  readonly files: AppFlows['files'];
  readonly answering: Pick<Answering, 'chat' | 'stop' | 'chatDeps' | 'streams'>;
  readonly verifyKey: VerifyKey;
  readonly stream: AppFlows['chat']['stream'];
  readonly clock: Clock;
  readonly tell: Tell;
}

/** The door of Flowise's own clients. */
export function createFlowiseDoor(config: Config, neighbours: Neighbours) {
  const { stores, upstreams, conversations, files, answering, verifyKey, stream, clock, tell } = neighbours;
  const { mongo, chatflows, sessions, forgetting, leads } = stores;
  const { side } = upstreams;
  const newId = randomUUID;
  const openChat = createOpenChat({
    nameKey: reachable(nameKeyIn(mongo), troubleOf),
    defaultWorkspaceId: config.DEFAULT_WORKSPACE_ID,
    newLabel: newId,
  });
  const findChat = createFindChat({ openChat, sessions });
  const findWindow = createFindWindow({ chatflows });
  const feedbacks = reachable(feedbacksIn(mongo), troubleOf);
  const flows: FlowiseFlows = {
    ...answering,
    stream,
    openChat,
    findWindow,
    leaveLead: createLeaveLead({ findWindow, leads, side, newId, clock, tell }),
    chats: createReadChat({ openChat: findChat, ...conversations }),
    ratings: createRateAnswer({ openChat: findChat, feedbacks, sessions, chatflows, side, newId, clock, tell }),
    isKey: async (key: string, ip: string) => idOfKey(key) !== undefined && (await verifyKey(key, ip)) !== undefined,
    attachments: createAttachFiles({ chatflows, side, forgetting, newId, clock }),
    files: files.read,
    readUpload: createReadUpload({ openChat: findChat, chatflows, sessions, files: stores.files, side }),
    speak: createSpeak({
      ...answering.chatDeps,
      openChat: findChat,
      chatflows,
      sessions,
      answers: feedbacks,
      side,
      limits: answering.streams.limits,
    }),
  };
  return {
    flows,
    isOriginAllowed: createAllowOrigin(flowOriginsIn(mongo, { freshMs: config.CHATFLOW_FRESHNESS })),
  };
}
