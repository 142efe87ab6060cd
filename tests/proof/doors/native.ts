import { dataOf, type Door, type HeardEvent, httpDoor, type Question, type Usage } from './door.ts';

interface NativeEvent {
  readonly event: string;
  readonly data: unknown;
  readonly request_id?: string;
}

const heardIn = (event: unknown): HeardEvent[] => (event === undefined ? [] : [nativeEvent(event as NativeEvent)]);

export const nativeEvent = ({ event, data, request_id: requestId }: NativeEvent): HeardEvent => ({
  event,
  data,
  requestId,
});

export const nativeBody = ({ text, chatflowId, sessionId }: Question) => ({
  question: text,
  chatflow_id: chatflowId,
  ...(sessionId !== undefined && { sessionId }),
});

const streamed = (name: string, accept: string, read: (line: string) => HeardEvent[]): Door =>
  httpDoor({
    name,
    isStreamed: true,
    tellsNodes: true,
    post: (question) => ({ path: '/api/v1/chat/predict/stream/store', body: nativeBody(question), accept }),
    read,
  });

interface WholeBody {
  readonly response: string;
  readonly metadata: { readonly usage: Usage; readonly request_id: string };
}

export const NATIVE: readonly Door[] = [
  streamed('native, SSE', 'text/event-stream', (line) => heardIn(dataOf(line))),
  streamed('native, NDJSON', 'application/x-ndjson', (line) => heardIn(line === '' ? undefined : JSON.parse(line))),
  httpDoor({
    name: 'native, in one piece',
    isStreamed: false,
    post: (question) => ({ path: '/api/v1/chat/predict', body: nativeBody(question) }),
    read(text) {
      const { response, metadata } = JSON.parse(text) as WholeBody;
      const { usage, request_id: requestId } = metadata;
      return [
        { event: 'token', data: response, requestId },
        { event: 'usage', data: usage },
        { event: 'end', data: undefined },
      ];
    },
  }),
];
