import { z } from 'zod';
import { HoldId } from '../ids.ts';
import { operation } from '../operation.ts';
import { ChatEvent } from './answers.ts';

const streamParams = z.strictObject({ request_id: HoldId });

export const stopAnswer = operation({
  id: 'stopAnswer',
  method: 'DELETE',
  path: '/api/v1/chat/streams/:request_id',
  summary:
    'Stop an own running answer: it is charged for what was produced, and its stream ends with `abort` and `end`',
  permission: 'chat:use',
  params: streamParams,
  result: z.object({ message: z.string(), request_id: HoldId }),
  errors: ['NOT_FOUND'],
});

export const resumeAnswer = operation({
  id: 'resumeAnswer',
  method: 'GET',
  path: '/api/v1/chat/streams/:request_id',
  summary:
    'Read an own answer again from after the event that `Last-Event-ID` names, and on while it is given; charges nothing',
  permission: 'chat:use',
  params: streamParams,
  result: ChatEvent,
  streams: true,
  errors: ['NOT_FOUND', 'ANSWER_NOT_KEPT', 'PARALLEL_LIMIT'],
});

export const openChatSocket = operation({
  id: 'openChatSocket',
  method: 'GET',
  path: '/api/v1/chat/ws',
  summary: 'A WebSocket for answers, described in docs/websocket.md; a plain request is told to upgrade',
  permission: 'public',
  status: 101,
  result: z.object({}),
  errors: ['UPGRADE_REQUIRED', 'SOCKET_ORIGIN_REJECTED'],
});
