import { setTimeout as pause } from 'node:timers/promises';
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
  readonly headers?: Readonly<Record<string, string>>;
  /** Called once, when so many tokens have come. */
  readonly after?: { readonly tokens: number; readonly act: (requestId: string | undefined) => void };
  /** Waits so long before it reads on. */
  readonly paceMs?: number;
  /** On a line that may break: then what was heard is told, and not the error. Aborts when the client has waited too long. */
  readonly patience?: AbortSignal;
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
  /** The connection broke, or was never made. */
  readonly isCut: boolean;
  /** How far it came: tells of a client that waited in vain where it waited. */
  readonly step: 'connecting' | 'connected' | 'let in' | 'answered';
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
  /** Whether it tells what the nodes of a flow do. */
  readonly tellsNodes?: boolean;
  /** Whether its clients learn that a model has called their request wrong. */
  readonly speaksOpenAi?: boolean;
  ask(platform: Pick<Platform, 'urls'>, person: Person, question: Question): Promise<Heard>;
}

/** What every kind of stream is read as. */
export interface HeardEvent {
  readonly event: string;
  readonly data: unknown;
  readonly requestId?: string | undefined;
  readonly code?: string | undefined;
}

/** An answer while it is heard. */
export class Listening {
  #heard: Heard;
  #tokens = 0;
  readonly #question: Question;

  constructor(question: Question) {
    this.#question = question;
    this.#heard = {
      status: 0,
      code: undefined,
      isWhole: false,
      text: '',
      retryAfter: undefined,
      requestId: undefined,
      usage: undefined,
      hasLeft: false,
      isCut: false,
      step: 'connecting',
    };
  }

  get heard(): Heard {
    return this.#heard;
  }

  note(more: Partial<Heard>): Heard {
    this.#heard = { ...this.#heard, ...more };
    return this.#heard;
  }

  /** True when the client is to hang up now. */
  hear({ event, data, requestId, code }: HeardEvent): boolean {
    const { text } = this.#heard;
    this.note({
      ...(requestId !== undefined && { requestId }),
      ...(event === 'token' && { text: text + String(data) }),
      ...(event === 'usage' && { usage: data as Usage }),
      ...(event === 'error' && { code: code ?? codeOf(data) }),
      ...(event === 'end' && { isWhole: true }),
    });
    if (event === 'token') this.#count();
    const mustLeave = event === this.#question.leaveAt || this.#hasEnough();
    if (mustLeave) this.note({ hasLeft: true });
    return mustLeave;
  }

  async hearAll(texts: AsyncIterable<string> | readonly string[], read: (text: string) => HeardEvent[]): Promise<void> {
    const { paceMs } = this.#question;
    for await (const text of texts) {
      if (read(text).some((event) => this.hear(event))) return;
      if (paceMs !== undefined) await pause(paceMs);
    }
  }

  #count(): void {
    const { after } = this.#question;
    this.#tokens += 1;
    if (this.#tokens === after?.tokens) after.act(this.#heard.requestId);
  }

  #hasEnough(): boolean {
    const { leave } = this.#question;
    return leave !== undefined && leave.afterTokens > 0 && this.#tokens >= leave.afterTokens;
  }
}

interface Post {
  readonly path: string;
  readonly body: object;
  readonly accept?: string;
}

/** A door of HTTP: how the question is put, and how what comes is read. */
interface HttpDoor extends Omit<Door, 'ask'> {
  readonly post: (question: Question) => Post;
  /** The events of a line; of a door that does not stream, of the whole body. */
  readonly read: (text: string) => HeardEvent[];
  readonly codeIn?: (body: unknown) => string;
}

export const httpDoor = ({ post, read, codeIn = codeOf, ...door }: HttpDoor): Door => ({
  ...door,
  async ask({ urls }, { accessToken }, question) {
    const leaving = new AbortController();
    const listening = new Listening(question);
    void question.leave?.when?.then(() => leaving.abort());
    const signal = AbortSignal.any([leaving.signal, ...(question.patience ? [question.patience] : [])]);
    try {
      const response = await put(urls.chatProxy, accessToken, { ...post(question), headers: question.headers, signal });
      listening.note({ step: 'answered' });
      listening.note({ status: response.status, retryAfter: response.headers.get('retry-after') ?? undefined });
      if (response.status !== 200) return listening.note({ code: codeIn(await response.json()) });
      const texts = door.isStreamed ? linesOf(response) : [await response.text()];
      await listening.hearAll(texts, read);
    } catch (error) {
      if (leaving.signal.aborted) listening.note({ hasLeft: true });
      else if (question.patience) listening.note({ isCut: true });
      else throw error;
    }
    return listening.heard;
  },
});

interface Put extends Post {
  readonly headers: Question['headers'];
  readonly signal: AbortSignal;
}

const put = (url: string, token: string, { path, body, accept, headers, signal }: Put): Promise<Response> =>
  fetch(url + path, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(accept !== undefined && { accept }),
      ...headers,
    },
    body: JSON.stringify(body),
    signal,
  });

const DATA = 'data:';

/** The JSON of a line of server-sent events; undefined for any other line, and for OpenAI's last one. */
export const dataOf = (line: string): unknown =>
  line.startsWith(DATA) && !line.endsWith('[DONE]') ? JSON.parse(line.slice(DATA.length)) : undefined;

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
