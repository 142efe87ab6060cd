import { WebSocket } from 'ws';
import { type Door, Listening } from './door.ts';
import { nativeBody, nativeEvent } from './native.ts';

interface Said {
  readonly type: 'ready' | 'event' | 'done' | 'error';
  readonly event?: { readonly event: string; readonly data: unknown };
  readonly problem?: { readonly status: number; readonly code: string; readonly retry_after?: number };
}

/** A socket for each question, which hangs up by cutting it. */
export const SOCKET: Door = {
  name: 'WebSocket',
  isStreamed: true,
  tellsNodes: true,
  async ask({ urls }, { accessToken }, question) {
    const listening = new Listening(question);
    const url = `${urls.chatProxy.replace('http', 'ws')}/api/v1/chat/ws`;
    const socket = new WebSocket(url, ['tollgate.v1', `bearer.${accessToken}`]);
    question.patience?.addEventListener('abort', () => socket.terminate(), { once: true });
    const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
    let isOver = false;
    socket.on('close', () => {
      const { hasLeft } = listening.heard;
      if (question.patience && !isOver && !hasLeft) listening.note({ isCut: true });
      resolve();
    });
    socket.on('error', (error) => (question.patience || listening.heard.hasLeft ? resolve() : reject(error)));
    const leave = (): void => {
      listening.note({ hasLeft: true });
      socket.terminate();
    };
    void question.leave?.when?.then(leave);
    socket.on('open', () => listening.note({ step: 'connected' }));
    socket.on('message', (bytes: Buffer) => {
      const { type, event, problem } = JSON.parse(bytes.toString()) as Said;
      listening.note({ step: type === 'ready' ? 'let in' : 'answered' });
      if (type === 'ready')
        socket.send(JSON.stringify({ type: 'ask', id: 'one', store: true, ...nativeBody(question) }));
      else if (type === 'event' && event) {
        listening.note({ status: 200 });
        if (listening.hear(nativeEvent(event))) leave();
      } else if (problem) {
        const retryAfter = problem.retry_after === undefined ? undefined : String(problem.retry_after);
        listening.note({ status: problem.status, code: problem.code, retryAfter });
        isOver = true;
        socket.close();
      } else {
        isOver = true;
        socket.close();
      }
    });
    await closed;
    return listening.heard;
  },
};
