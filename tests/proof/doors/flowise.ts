import { dataOf, type Door, type HeardEvent, httpDoor, type Question } from './door.ts';

interface Frame {
  readonly event: string;
  readonly data: unknown;
  readonly code?: string;
}

/** The answer's id is that of its message. */
const heardIn = ({ event, data, code }: Frame): HeardEvent => ({
  event,
  data,
  code,
  ...(event === 'metadata' && { requestId: String(Object(data).chatMessageId) }),
});

interface Whole {
  readonly text: string;
  readonly chatMessageId: string;
  readonly usage: unknown;
}

const postOf = (question: Question, streaming: boolean) => ({
  path: `/api/v1/prediction/${question.chatflowId}`,
  body: { question: question.text, streaming, ...(question.sessionId !== undefined && { chatId: question.sessionId }) },
});

export const FLOWISE: readonly Door[] = [
  httpDoor({
    name: 'Flowise, stream',
    isStreamed: true,
    tellsNodes: true,
    post: (question) => postOf(question, true),
    read(line) {
      const frame = dataOf(line);
      return frame === undefined ? [] : [heardIn(frame as Frame)];
    },
  }),
  httpDoor({
    name: 'Flowise, in one piece',
    isStreamed: false,
    post: (question) => postOf(question, false),
    read(body) {
      const { text, chatMessageId: requestId, usage } = JSON.parse(body) as Whole;
      return [
        { event: 'token', data: text, requestId },
        { event: 'usage', data: usage },
        { event: 'end', data: undefined },
      ];
    },
  }),
];
