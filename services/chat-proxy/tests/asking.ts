import type { ChatCall } from '@tollgate/test-kit';

export const STORE = '/api/v1/chat/predict/stream/store';
export const STREAM = '/api/v1/chat/predict/stream';

export interface AskBody {
  readonly question: string;
  readonly chatflow_id: string;
  readonly sessionId?: string;
}

export const askOf = (question: string, chatflowId: string, sessionId?: string): AskBody => ({
  question,
  chatflow_id: chatflowId,
  ...(sessionId !== undefined && { sessionId }),
});

/** The kinds of events of a streamed answer, in order. */
export const names = ({ events }: ChatCall): string[] => events.map(({ event }) => event);
