import { type Answer, callJson } from './call-json.ts';
import { type ChatAsk, type ChatCall, startChat } from './chat-call.ts';

export interface Urls {
  readonly auth: string;
  readonly chatProxy: string;
  readonly accounting: string;
}

export interface Identity {
  readonly userId: string;
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

/** Somebody who has logged in, with the calls tests make in their name. */
export class Person {
  readonly userId: string;
  readonly username: string;
  readonly email: string;
  readonly password: string;
  accessToken = '';
  refreshToken = '';
  readonly #urls: Urls;

  constructor(identity: Identity, urls: Urls) {
    this.userId = identity.userId;
    this.username = identity.username;
    this.email = identity.email;
    this.password = identity.password;
    this.#urls = urls;
  }

  /** The same person in one workspace, with tokens of its own. */
  in(workspaceId: string): Promise<Person> {
    return new Person(this, this.#urls).logIn(workspaceId);
  }

  async logIn(workspaceId?: string): Promise<this> {
    const { status, body } = await callJson<{ accessToken: string; refreshToken: string }>(
      'POST',
      `${this.#urls.auth}/api/auth/login`,
      {
        body: {
          username: this.username,
          password: this.password,
          ...(workspaceId !== undefined && { workspaceId }),
        },
      },
    );
    if (status !== 200) throw new Error(`login of ${this.username} answered ${status}: ${JSON.stringify(body)}`);
    this.accessToken = body.accessToken;
    this.refreshToken = body.refreshToken;
    return this;
  }

  auth<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>> {
    return this.#call(method, this.#urls.auth + path, body, headers);
  }

  accounting<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>> {
    return this.#call(method, this.#urls.accounting + path, body, headers);
  }

  chatProxy<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>> {
    return this.#call(method, this.#urls.chatProxy + path, body, headers);
  }

  /** A streamed answer that is stored in the history. */
  chat(ask: ChatAsk, signal?: AbortSignal): Promise<ChatCall> {
    return startChat(`${this.#urls.chatProxy}/api/v1/chat/predict/stream/store`, this.accessToken, ask, signal);
  }

  async balance(): Promise<number> {
    const { body } = await this.accounting<{ totalCredits: number }>('GET', '/api/credits/balance');
    return body.totalCredits;
  }

  #call<T>(
    method: string,
    url: string,
    body: unknown,
    headers: Record<string, string> | undefined,
  ): Promise<Answer<T>> {
    return callJson<T>(method, url, { body, token: this.accessToken, ...(headers && { headers }) });
  }
}
