import { request } from 'undici';

/** One event of a streamed answer, as it stood in a `data:` line. */
export interface ChatEvent {
  readonly event: string;
  readonly data: unknown;
  readonly [field: string]: unknown;
}

export interface ChatAsk {
  readonly question: string;
  readonly chatflow_id: string;
  readonly sessionId?: string;
}

/** A streamed answer in the hands of a test: read it to the end, up to an event, or hang up. */
export class ChatCall {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly events: ChatEvent[] = [];
  /** The connection ended without the end of the HTTP body: the answer was cut. */
  cut = false;
  readonly #events: AsyncGenerator<ChatEvent>;
  readonly #hangUp: () => void;
  /** The problem document, when the call was refused. */
  readonly problem: { readonly code: string; readonly status: number; readonly detail: string } | undefined;

  constructor(
    head: { status: number; headers: Record<string, unknown>; problem?: ChatCall['problem'] },
    events: AsyncGenerator<ChatEvent>,
    hangUp: () => void,
  ) {
    this.status = head.status;
    this.headers = head.headers;
    this.problem = head.problem;
    this.#events = events;
    this.#hangUp = hangUp;
  }

  /** Reads until an event of this name has arrived (or the answer is over). */
  async until(name: string, count = 1): Promise<ChatEvent | undefined> {
    let seen = 0;
    for (;;) {
      const event = await this.#next();
      if (!event) return undefined;
      if (event.event === name) seen += 1;
      if (seen === count) return event;
    }
  }

  async toEnd(): Promise<this> {
    while (await this.#next());
    return this;
  }

  /** Closes the socket without reading on. */
  hangUp(): void {
    this.#hangUp();
  }

  get text(): string {
    return this.events
      .filter(({ event }) => event === 'token')
      .map(({ data }) => String(data))
      .join('');
  }

  data<T = Record<string, unknown>>(name: string): T | undefined {
    return this.events.find(({ event }) => event === name)?.data as T | undefined;
  }

  async #next(): Promise<ChatEvent | undefined> {
    try {
      const { value, done } = await this.#events.next();
      if (done) return undefined;
      this.events.push(value);
      return value;
    } catch {
      this.cut = true;
      return undefined;
    }
  }
}

/** Asks over the streaming route; a refusal resolves too, with its status and problem. */
export async function startChat(url: string, token: string, ask: ChatAsk, signal?: AbortSignal): Promise<ChatCall> {
  const response = await request(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify(ask),
    headersTimeout: 60_000,
    ...(signal && { signal }),
  });
  const head = { status: response.statusCode, headers: response.headers };
  if (response.statusCode >= 400) {
    const problem = (await response.body.json()) as NonNullable<ChatCall['problem']>;
    return new ChatCall({ ...head, problem }, nothing(), () => undefined);
  }
  response.body.on('error', () => undefined);
  return new ChatCall(head, eventsOf(response.body), () => response.body.destroy());
}

async function* nothing(): AsyncGenerator<ChatEvent> {}

async function* eventsOf(body: AsyncIterable<Buffer>): AsyncGenerator<ChatEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data:')) yield JSON.parse(line.slice(5)) as ChatEvent;
  }
}
