import type { Person, Platform } from '@tollgate/test-kit';

/** One question as every door can put it. */
export interface Question {
  readonly text: string;
  readonly chatflowId: string;
  readonly sessionId?: string;
  /** Hangs up after so many tokens, or (0) when this has happened. */
  readonly leave?: { readonly afterTokens: number; readonly when?: Promise<unknown> };
  /** Hangs up at the first event of this name. */
  readonly leaveAt?: string;
}

/** What became of it at the client's side of the socket. */
export interface Heard {
  readonly status: number;
  /** Why it was refused, or broke off. */
  readonly code: string | undefined;
  /** It came to its end, and said so. */
  readonly isWhole: boolean;
  readonly text: string;
  readonly retryAfter: string | undefined;
  readonly requestId: string | undefined;
  readonly usage: Usage | undefined;
  readonly hasLeft: boolean;
}

export interface Usage {
  readonly credits: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly estimated: boolean;
}

/** One way into the proxy. Another one is another row of `DOORS`. */
export interface Door {
  readonly name: string;
  /** Whether an answer that breaks off still has the status 200 it began with. */
  readonly isStreamed: boolean;
  ask(platform: Pick<Platform, 'urls'>, person: Person, question: Question): Promise<Heard>;
}

interface NativeEvent {
  readonly event: string;
  readonly data: unknown;
  readonly request_id?: string;
}

const DATA = 'data:';
const fromSse = (line: string): NativeEvent | undefined =>
  line.startsWith(DATA) ? (JSON.parse(line.slice(DATA.length)) as NativeEvent) : undefined;
const fromNdjson = (line: string): NativeEvent | undefined =>
  line === '' ? undefined : (JSON.parse(line) as NativeEvent);

const nativeStream = (name: string, accept: string, read: typeof fromSse): Door => ({
  name,
  isStreamed: true,
  async ask({ urls }, { accessToken }, question) {
    const leaving = new AbortController();
    const heard = emptyAnswer();
    void question.leave?.when?.then(() => leaving.abort());
    try {
      const response = await fetch(`${urls.chatProxy}/api/v1/chat/predict/stream/store`, {
        method: 'POST',
        headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json', accept },
        body: JSON.stringify({
          question: question.text,
          chatflow_id: question.chatflowId,
          ...(question.sessionId !== undefined && { sessionId: question.sessionId }),
        }),
        signal: leaving.signal,
      });
      heard.status = response.status;
      heard.retryAfter = response.headers.get('retry-after') ?? undefined;
      if (response.status !== 200) {
        heard.code = codeOf(await response.json());
        return heard;
      }
      for await (const line of linesOf(response)) {
        const event = read(line);
        if (!event) continue;
        note(heard, event);
        if (!mustLeave(question, heard, event)) continue;
        heard.hasLeft = true;
        break;
      }
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
      heard.hasLeft = true;
    }
    return heard;
  },
});

const nativeWhole: Door = {
  name: 'native, in one piece',
  isStreamed: false,
  async ask({ urls }, { accessToken }, { text, chatflowId, sessionId, leave }) {
    const leaving = new AbortController();
    const heard = emptyAnswer();
    void leave?.when?.then(() => leaving.abort());
    try {
      const response = await fetch(`${urls.chatProxy}/api/v1/chat/predict`, {
        method: 'POST',
        headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          question: text,
          chatflow_id: chatflowId,
          ...(sessionId !== undefined && { sessionId }),
        }),
        signal: leaving.signal,
      });
      const body = (await response.json()) as WholeBody;
      heard.status = response.status;
      heard.retryAfter = response.headers.get('retry-after') ?? undefined;
      if (response.status !== 200) return { ...heard, code: codeOf(body) };
      const { usage, request_id } = body.metadata;
      return { ...heard, isWhole: true, text: body.response, requestId: request_id, usage };
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
      return { ...heard, hasLeft: true };
    }
  },
};

interface WholeBody {
  readonly response: string;
  readonly metadata: { readonly usage: Usage; readonly request_id: string };
}

/** The doors there are. */
export const DOORS: readonly Door[] = [
  nativeStream('native, SSE', 'text/event-stream', fromSse),
  nativeStream('native, NDJSON', 'application/x-ndjson', fromNdjson),
  nativeWhole,
];

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

const emptyAnswer = (): Mutable<Heard> & { tokens: number } => ({
  status: 0,
  code: undefined,
  isWhole: false,
  text: '',
  retryAfter: undefined,
  requestId: undefined,
  usage: undefined,
  hasLeft: false,
  tokens: 0,
});

function note(heard: ReturnType<typeof emptyAnswer>, { event, data, request_id }: NativeEvent): void {
  if (request_id !== undefined) heard.requestId = request_id;
  if (event === 'token') {
    heard.text += String(data);
    heard.tokens += 1;
  } else if (event === 'usage') heard.usage = data as Usage;
  else if (event === 'error') heard.code = codeOf(data);
  else if (event === 'end') heard.isWhole = true;
}

const mustLeave = ({ leave, leaveAt }: Question, { tokens }: { tokens: number }, { event }: NativeEvent): boolean =>
  event === leaveAt || (leave !== undefined && leave.afterTokens > 0 && tokens >= leave.afterTokens);

const codeOf = (body: unknown): string => String(Object(body).code);

async function* linesOf({ body }: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}
