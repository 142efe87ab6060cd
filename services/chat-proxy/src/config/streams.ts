import { durationMs, whole } from '@tollgate/config';

/** Answers that are read again, stopped from elsewhere, or asked for over a socket. */
export const streamVariables = {
  ANSWER_KEPT_FOR: durationMs({ min: '1s', max: '24h' })
    .prefault('5m')
    .describe('How long an answer can be read again after its end'),
  ANSWER_KEPT_BYTES: whole({ min: 65_536, max: 67_108_864 })
    .default(1_048_576)
    .describe('Bytes of one answer that can be read again'),
  ANSWERS_KEPT_BYTES: whole({ min: 1_048_576, max: 17_179_869_184 })
    .default(67_108_864)
    .describe('The same for all answers of one process together; the oldest go first'),
  KEEP_RUNNING_MAX: durationMs({ max: '30s' })
    .prefault('30s')
    .describe('How long an answer goes on at most without its client, when the client has asked for it'),
  KEEP_RUNNING_AT_ONCE: whole({ max: 50 })
    .default(50)
    .describe('Answers of one process that go on without their client'),
  IDEMPOTENCY_KEPT_FOR: durationMs({ min: '24h', max: '30d' })
    .prefault('24h')
    .describe('How long an Idempotency-Key of a chat request stands for its answer'),
  ANSWER_LISTEN_INTERVAL: durationMs({ min: '20ms', max: '2s' })
    .prefault('500ms')
    .describe('How often a process looks for stops of its answers that came in elsewhere'),
  ANSWER_SHARE_INTERVAL: durationMs({ min: '20ms', max: '5s' })
    .prefault('250ms')
    .describe('How often answers that other processes may be asked for are written to the database'),

  SOCKET_AUTH_TIMEOUT: durationMs({ min: '50ms', max: '60s' })
    .prefault('10s')
    .describe('How long a WebSocket may stay open without a token'),
  SOCKET_ANSWERS: whole({ min: 1, max: 100 }).default(8).describe('Answers at once on one WebSocket'),
  SOCKETS_PER_USER: whole({ min: 1, max: 1000 })
    .default(20)
    .describe('WebSockets of one user that one process keeps open'),
};
