import type { WireSocket } from '@tollgate/http-kit/socket';

const MOST_BUFFERED = 262_144;

/** Writes messages no faster than the client reads them; a client that reads nothing for too long loses its connection. */
export class SocketWriter {
  readonly #socket: WireSocket;
  readonly #stallMs: number;
  #isClosed = false;

  constructor(socket: WireSocket, stallMs: number) {
    this.#socket = socket;
    this.#stallMs = stallMs;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  end(): void {
    this.#isClosed = true;
  }

  /** Resolves when there is room for more. Never rejects: what cannot be sent concerns nobody any more. */
  async write(message: object): Promise<void> {
    if (this.#isClosed) return;
    const sent = Promise.withResolvers<void>();
    this.#socket.send(JSON.stringify(message), () => sent.resolve());
    if (this.#socket.bufferedAmount <= MOST_BUFFERED) return;
    const stalled = setTimeout(() => this.#socket.terminate(), this.#stallMs);
    await sent.promise;
    clearTimeout(stalled);
  }
}
