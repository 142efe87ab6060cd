import type { UserCaller } from '@tollgate/http-kit';
import type { SocketVisitor, WireSocket } from '@tollgate/http-kit/socket';
import { ChatSocket, type ChatSocketDeps } from './chat-socket.ts';

export interface ChatSockets {
  open(socket: WireSocket, visitor: SocketVisitor): Pick<ChatSocket, 'isKnown'>;
  /** Whether a page may open one: a page of ours, or of an origin that is listed. Whoever is no browser says nothing. */
  mayOpen(origin: string | undefined, host: string | undefined): boolean;
  /** Ends the sockets whose token counts no longer. */
  endRevoked(reasonOf: (caller: UserCaller) => string | undefined): void;
  /** The service is stopping: idle sockets end now, the others after their answers. */
  leave(): void;
  /** How many are open. */
  readonly size: number;
}

export interface ChatSocketsDeps extends Omit<ChatSocketDeps, 'welcome' | 'closed'> {
  readonly allowedOrigins: readonly string[];
  /** Of one user in this process. */
  readonly mostPerUser: number;
}

/** All sockets of this process. */
export function createChatSockets({ allowedOrigins, mostPerUser, ...deps }: ChatSocketsDeps): ChatSockets {
  const sockets = new Set<ChatSocket>();
  const perUser = new Map<string, number>();
  let isLeaving = false;

  const own: ChatSocketDeps = {
    ...deps,
    welcome(_socket, { userId }) {
      const count = perUser.get(userId) ?? 0;
      if (count >= mostPerUser) return false;
      perUser.set(userId, count + 1);
      return true;
    },
    closed(socket) {
      sockets.delete(socket);
      const userId = socket.caller?.userId;
      if (userId === undefined) return;
      const count = (perUser.get(userId) ?? 1) - 1;
      if (count > 0) perUser.set(userId, count);
      else perUser.delete(userId);
    },
  };

  return {
    open(socket, visitor) {
      const opened = new ChatSocket(socket, visitor, own);
      sockets.add(opened);
      if (isLeaving) opened.leave();
      return opened;
    },
    mayOpen(origin, host) {
      if (origin === undefined || allowedOrigins.includes(origin)) return true;
      const { host: ofPage } = URL.parse(origin) ?? {};
      return ofPage !== undefined && ofPage === host;
    },
    endRevoked(reasonOf) {
      for (const socket of sockets) {
        const reason = socket.caller && reasonOf(socket.caller);
        if (reason !== undefined) void socket.revoke(reason);
      }
    },
    get size() {
      return sockets.size;
    },
    leave() {
      isLeaving = true;
      for (const socket of sockets) socket.leave();
    },
  };
}
