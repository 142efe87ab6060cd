import { randomUUID } from 'node:crypto';
import { chat } from '@tollgate/contracts';
import {
  AppError,
  asPartOf,
  parseJson,
  requestContext,
  toAppError,
  toProblem,
  type Tracer,
  type UserCaller,
} from '@tollgate/http-kit';
import type { SocketVisitor, WireSocket } from '@tollgate/http-kit/socket';
import { codeOfEnd } from '../domain/access.ts';
import type { Answer, AnswerEvent } from '../domain/answer.ts';
import type { AnswerRequests } from '../flows/answers/answer-requests.ts';
import { askIn } from './chat.ts';
import { errorEvent } from './framing.ts';
import { SocketWriter } from './socket-writer.ts';

/** Why a socket is closed: RFC 6455, section 7.4; ours are in the range for applications. */
const CLOSED = {
  goingAway: 1001,
  unreadable: 1007,
  tooMuch: 1008,
  unauthenticated: 4401,
  tooManySockets: 4429,
} as const;

export interface SocketSettings {
  /** Milliseconds a socket may stay open without a token. */
  readonly authMs: number;
  readonly heartbeatMs: number;
  readonly stallMs: number;
  /** Answers at once. */
  readonly mostAnswers: number;
}

export interface ChatSocketDeps extends Pick<AnswerRequests, 'chat' | 'stop' | 'resume'> {
  /** The user a token or an API key stands for, as every request that begins an answer is let in. */
  readonly admit: (credential: string, ip: string) => Promise<UserCaller>;
  /** Spends a request of the user's limits. */
  readonly spend: (caller: UserCaller) => Promise<unknown>;
  readonly settings: SocketSettings;
  /** Absent where nothing is traced. */
  readonly tracer?: Tracer | undefined;
  readonly now: () => number;
  /** Told about a failure that the client only sees as an event. */
  readonly failed: (error: AppError) => void;
  /** False when the user has too many sockets. */
  readonly welcome: (socket: ChatSocket, caller: UserCaller) => boolean;
  readonly closed: (socket: ChatSocket) => void;
}

/** For the client's half of the closing handshake. */
const CLOSING_MS = 2000;
const LONGEST_TIMER_MS = 2_147_483_647;
const MOST_MESSAGES_PER_SECOND = 50;
/** Of a message before it is known who sends it. */
const LONGEST_AUTH = 16_384;

/** A conversation over a WebSocket: several answers at once, each event a message. docs/websocket.md */
export class ChatSocket {
  readonly #deps: ChatSocketDeps;
  readonly #visitor: SocketVisitor;
  readonly #socket: WireSocket;
  readonly #writer: SocketWriter;
  readonly #answers = new Map<string, AbortController>();
  #caller: UserCaller | undefined;
  #credential = '';
  /** One token is looked at after the other. */
  #authenticating: Promise<void> = Promise.resolve();
  #deadline: NodeJS.Timeout;
  readonly #beat: NodeJS.Timeout;
  #closing: NodeJS.Timeout | undefined;
  #isAlive = true;
  #isLeaving = false;
  #second = { began: 0, messages: 0 };

  constructor(socket: WireSocket, visitor: SocketVisitor, deps: ChatSocketDeps) {
    this.#socket = socket;
    this.#visitor = visitor;
    this.#deps = deps;
    const { authMs, heartbeatMs, stallMs } = deps.settings;
    this.#writer = new SocketWriter(socket, stallMs);
    this.#deadline = setTimeout(() => this.close('unauthenticated', 'no token came in time'), authMs);
    this.#beat = setInterval(() => this.#checkPulse(), heartbeatMs);
    socket.on('message', (bytes, isBinary) => this.#receive(bytes, isBinary));
    socket.on('pong', () => {
      this.#isAlive = true;
    });
    socket.on('close', () => this.#end());
    socket.on('error', () => socket.terminate());
    if (visitor.credential !== undefined) void this.#authenticateNext(visitor.credential);
  }

  get caller(): UserCaller | undefined {
    return this.#caller;
  }

  get isKnown(): boolean {
    return this.#caller !== undefined;
  }

  close(why: keyof typeof CLOSED, reason: string): void {
    this.#socket.close(CLOSED[why], reason);
    this.#closing ??= setTimeout(() => this.#socket.terminate(), CLOSING_MS);
    for (const leave of this.#answers.values()) leave.abort();
  }

  /** The access it was opened with has ended. */
  async revoke(reason: string): Promise<void> {
    await this.#refuse(undefined, new AppError(codeOfEnd(reason)));
    this.close('unauthenticated', 'access has ended');
  }

  /** Ends when the answers that run have ended; at once when there are none. */
  leave(): void {
    this.#isLeaving = true;
    if (this.#answers.size === 0) this.close('goingAway', 'the service is stopping');
  }

  #receive(bytes: Uint8Array, isBinary: boolean): void {
    const now = this.#deps.now();
    if (now - this.#second.began >= 1000) this.#second = { began: now, messages: 0 };
    this.#second.messages += 1;
    if (this.#second.messages > MOST_MESSAGES_PER_SECOND) return this.close('tooMuch', 'too many messages');
    if (isBinary) return this.close('unreadable', 'messages are JSON text');
    if (!this.#caller && bytes.length > LONGEST_AUTH) return this.close('tooMuch', 'the first message is a token');
    const { tracer } = this.#deps;
    void asPartOf({ requestId: randomUUID() }, { name: 'socket message', tracer }, async () => {
      try {
        await this.#obey(messageIn(bytes));
      } catch (error) {
        await this.#refuse(undefined, error);
      }
    });
  }

  async #obey(message: chat.SocketMessage): Promise<void> {
    if (message.type === 'auth') return this.#authenticateNext(message.token);
    await this.#authenticating;
    const caller = await this.#renewed();
    if (!caller) return this.close('unauthenticated', 'the first message is a token');
    if (message.type === 'stop') {
      const isStopped = await this.#deps.stop(caller, { requestId: message.request_id });
      if (!isStopped) throw new AppError('NOT_FOUND');
      return this.#writer.write({ type: 'stopped', request_id: message.request_id });
    }
    return this.#answer(message, caller);
  }

  /** The token is looked at for every answer, so that what has ended since opens nothing more. */
  async #renewed(): Promise<UserCaller | undefined> {
    return this.#caller && this.#deps.admit(this.#credential, this.#visitor.ip);
  }

  #authenticateNext(credential: string): Promise<void> {
    this.#authenticating = this.#authenticating.then(() => this.#authenticate(credential));
    return this.#authenticating;
  }

  async #authenticate(credential: string): Promise<void> {
    let caller: UserCaller;
    try {
      caller = await requestContext.run({ requestId: randomUUID() }, () =>
        this.#deps.admit(credential, this.#visitor.ip),
      );
    } catch (error) {
      await this.#refuse(undefined, error);
      return this.close('unauthenticated', 'the token is not accepted');
    }
    // Its client did not wait: nobody would give back what it takes now.
    if (this.#writer.isClosed) return;
    const known = this.#caller;
    if (known && (known.userId !== caller.userId || known.workspaceId !== caller.workspaceId))
      return this.close('unauthenticated', 'a socket is for one user in one workspace');
    if (!known && !this.#deps.welcome(this, caller)) return this.close('tooManySockets', 'too many sockets');
    this.#caller = caller;
    this.#credential = credential;
    clearTimeout(this.#deadline);
    const leftMs = Math.min(caller.expiresAt - this.#deps.now(), LONGEST_TIMER_MS);
    this.#deadline = setTimeout(() => this.close('unauthenticated', 'the token has expired'), leftMs);
    return this.#writer.write({ type: 'ready', expires_at: new Date(caller.expiresAt).toISOString() });
  }

  async #answer(message: Extract<chat.SocketMessage, { type: 'ask' | 'resume' }>, caller: UserCaller): Promise<void> {
    const { id } = message;
    const refusal = this.#refusalOf(id);
    if (refusal) return this.#refuse(id, refusal);
    const leave = new AbortController();
    this.#answers.set(id, leave);
    const after = message.type === 'resume' ? message.last_event_id : 0;
    try {
      const answer =
        message.type === 'resume'
          ? await this.#deps.resume(caller, message.request_id, after, leave.signal)
          : await this.#begin(message, caller, leave.signal);
      await this.#relay(id, answer, after);
    } catch (error) {
      await this.#refuse(id, error);
    } finally {
      this.#answers.delete(id);
      if (this.#isLeaving) this.leave();
    }
  }

  #refusalOf(id: string): AppError | undefined {
    if (this.#isLeaving) return new AppError('SHUTTING_DOWN');
    if (this.#answers.has(id)) return new AppError('CONFLICT', 'An answer of this name is under way');
    return this.#answers.size >= this.#deps.settings.mostAnswers ? new AppError('PARALLEL_LIMIT') : undefined;
  }

  async #begin(message: Extract<chat.SocketMessage, { type: 'ask' }>, caller: UserCaller, signal: AbortSignal) {
    const {
      type: _,
      id: _id,
      store,
      idempotency_key: idempotencyKey,
      keep_running: keepRunningSeconds,
      ...body
    } = message;
    const ask = askIn(checked(chat.predictStreamStore.body.safeParse(body)), store);
    await this.#deps.spend(caller);
    return this.#deps.chat(
      caller,
      { ...ask, origin: this.#visitor.origin, idempotencyKey, keepRunningSeconds },
      signal,
    );
  }

  /** A failure before the first event is a refusal; one after it an event, as in a stream. */
  async #relay(id: string, answer: Answer, after: number): Promise<void> {
    let sequence = after;
    const say = async (...events: readonly AnswerEvent[]): Promise<void> => {
      for (const event of events) {
        if (this.#writer.isClosed) return;
        sequence += 1;
        await this.#writer.write({ type: 'event', id, event_id: sequence, event });
      }
    };
    try {
      for await (const events of answer) {
        await say(...events);
        if (this.#writer.isClosed) return;
      }
    } catch (thrown) {
      if (sequence === after) throw thrown;
      const error = toAppError(thrown);
      this.#deps.failed(error);
      await say(errorEvent(error));
    }
    await this.#writer.write({ type: 'done', id });
  }

  async #refuse(id: string | undefined, thrown: unknown): Promise<void> {
    const error = toAppError(thrown);
    if (error.status >= 500) this.#deps.failed(error);
    const retryAfter = error.headers['retry-after'];
    await this.#writer.write({
      type: 'error',
      ...(id !== undefined && { id }),
      problem: { ...toProblem(error), ...(retryAfter !== undefined && { retry_after: Number(retryAfter) }) },
    });
  }

  #checkPulse(): void {
    if (!this.#isAlive) return this.#socket.terminate();
    this.#isAlive = false;
    this.#socket.ping();
  }

  #end(): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.#closing);
    clearInterval(this.#beat);
    this.#writer.end();
    for (const leave of this.#answers.values()) leave.abort();
    this.#deps.closed(this);
  }
}

/** Judged as the body of a request is. */
const messageIn = (bytes: Uint8Array): chat.SocketMessage => checked(chat.SocketMessage.safeParse(parseJson(bytes)));

interface Fault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

function checked<T>(result: { success: true; data: T } | { success: false; error: { issues: readonly Fault[] } }): T {
  if (result.success) return result.data;
  const errors = result.error.issues
    .slice(0, 20)
    .map(({ path, message }) => ({ path: path.map(String).join('.').slice(0, 200), message: message.slice(0, 200) }));
  throw new AppError('VALIDATION_FAILED', undefined, { errors });
}
