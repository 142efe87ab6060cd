import { chat } from '@tollgate/contracts';
import { admit, AppError, type Tracer } from '@tollgate/http-kit';
import type { createAnswering } from './answer.ts';
import type { AppFlows } from '../app.ts';
import type { Config } from '../config.ts';
import type { Clock } from '../ports.ts';
import type { Admission } from './revocation.ts';
import { type ChatSockets, createChatSockets } from '../routes/chat-sockets.ts';

interface Neighbours {
  readonly answering: ReturnType<typeof createAnswering>;
  readonly admission: Pick<Admission, 'authenticate' | 'alsoEnds'>;
  readonly stream: AppFlows['chat']['stream'];
  readonly clock: Clock;
  readonly tracer: Tracer | undefined;
}

/** The door of WebSockets: the same answers, let in by the same rules as a request for one. */
export function openSockets(config: Config, { answering, admission, stream, clock, tracer }: Neighbours): ChatSockets {
  const route = { operation: chat.predictStreamStore, handle: () => undefined };
  const { requests, limits } = answering.streams;
  const sockets = createChatSockets({
    ...requests,
    async admit(credential, ip) {
      const headers = { authorization: `Bearer ${credential}` };
      const caller = await admit(route, admission.authenticate, { method: 'GET', headers, ip });
      if (caller?.kind !== 'user') throw new AppError('UNAUTHENTICATED');
      return caller;
    },
    spend: (caller) => limits.admit(caller),
    settings: {
      authMs: config.SOCKET_AUTH_TIMEOUT,
      heartbeatMs: config.HEARTBEAT_INTERVAL,
      stallMs: config.CLIENT_STALL_TIMEOUT,
      mostAnswers: config.SOCKET_ANSWERS,
    },
    mostPerUser: config.SOCKETS_PER_USER,
    allowedOrigins: config.ALLOWED_ORIGINS,
    tracer,
    now: clock.now,
    failed: stream.failed,
  });
  admission.alsoEnds(sockets.endRevoked);
  return sockets;
}
