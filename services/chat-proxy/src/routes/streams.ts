import { chat } from '@tollgate/contracts';
import { AppError, type Route, serve } from '@tollgate/http-kit';
import type { AnswerRequests } from '../flows/answers/answer-requests.ts';
import { streamAnswer, type StreamSettings } from './answer-stream.ts';
import { framingFor } from './framing.ts';

export interface StreamFlows extends Pick<AnswerRequests, 'stop' | 'resume'> {
  readonly stream: StreamSettings;
}

/** Answers under way, and for a while those that are over, by the request they belong to. */
export const streamRoutes = ({ stop, resume, stream }: StreamFlows): Route[] => [
  serve(chat.stopAnswer).with(async ({ params: { request_id } }, caller) => {
    if (!(await stop(caller, { requestId: request_id }))) throw new AppError('NOT_FOUND');
    return { message: 'The answer was stopped', request_id };
  }),
  serve(chat.resumeAnswer).with(async ({ params: { request_id } }, caller, { headers, signal }) => {
    const after = lastEventId(headers['last-event-id']);
    const answer = await resume(caller, request_id, after, signal);
    return streamAnswer(answer, framingFor(headers['accept']), stream, after);
  }),
  serve(chat.openChatSocket).with(() => {
    throw new AppError('UPGRADE_REQUIRED', undefined, { headers: { upgrade: 'websocket', connection: 'Upgrade' } });
  }),
];

/** WHATWG HTML, 9.2.4: what the client has had last, as our `id:` lines count it. */
function lastEventId(text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new AppError('VALIDATION_FAILED', undefined, {
    errors: [{ path: 'Last-Event-ID', message: 'must be the number of an event' }],
  });
}
