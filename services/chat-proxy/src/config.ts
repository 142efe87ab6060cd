import {
  alias,
  baseUrl,
  bool,
  distinctKeys,
  durationMs,
  type Environment,
  keyCacheVariables,
  list,
  mongoVariables,
  portVariable,
  readConfig,
  secret,
  serviceTokenVariables,
  serviceVariables,
  verifiesOneAlgorithm,
  verifyingVariables,
  whole,
  workspaceVariables,
} from '@tollgate/config';
import { readPublicKeys } from '@tollgate/jwt-claims';
import { z } from 'zod';
import { limitVariables } from './limits-config.ts';
import { streamVariables } from './streams-config.ts';
import { meteringVariables } from './metering-config.ts';

const apiKey = () => secret({ minBytes: 1 }).optional();

/** Every variable of this service, with a sentence for its reader. */
export const Variables = z
  .object({
    ...serviceVariables,
    ...portVariable(8000),
    ...mongoVariables,
    ...serviceTokenVariables,
    ...workspaceVariables,
    ...verifyingVariables(readPublicKeys),

    MONGO_POOL_SIZE: whole({ min: 1, max: 1000 }).default(50).describe('Connections to the database'),
    MONGO_OPERATION_TIMEOUT: durationMs({ min: '50ms', max: '60s' })
      .prefault('3s')
      .describe('Longest wait for one database operation'),

    AUTH_API_URL: alias(baseUrl(), ['EXTERNAL_AUTH_URL']).describe('The auth service'),
    AUTH_TIMEOUT: durationMs({ min: '50ms', max: '60s' })
      .prefault('10s')
      .describe('Longest wait for auth; a login takes a slow hash'),
    ...keyCacheVariables,
    REVOCATIONS_POLL: durationMs({ min: '50ms', max: '3s' })
      .prefault('1s')
      .describe('How often auth is asked which access tokens were revoked'),
    ACCOUNTING_API_URL: alias(baseUrl(), ['ACCOUNTING_SERVICE_URL']).describe('The accounting service'),
    ACCOUNTING_TIMEOUT: durationMs({ min: '50ms', max: '60s' })
      .prefault('2s')
      .describe('Longest wait for accounting, a second attempt included'),
    ACCOUNTING_CONNECTIONS: whole({ min: 1, max: 1000 })
      .default(64)
      .describe('Connections to accounting for new answers'),
    ACCOUNTING_CLOSING_CONNECTIONS: whole({ min: 1, max: 1000 })
      .default(16)
      .describe('Connections to accounting for running and ended answers, which do not wait behind new ones'),
    ACCOUNTING_BREAK_AFTER: whole({ min: 1, max: 1000 })
      .default(5)
      .describe('Failures of accounting in a row after which new answers are refused at once'),
    ACCOUNTING_BREAK_TIME: durationMs({ min: '10ms', max: '10m' })
      .prefault('10s')
      .describe('How long they are, before one of them tries again'),

    FLOWISE_API_URL: baseUrl().optional().describe('The Flowise server; without it there are no flows'),
    FLOWISE_API_KEY: apiKey().describe('Its API key, with the permission to list chatflows'),
    OPENAI_BASE_URL: baseUrl()
      .optional()
      .describe('A server with OpenAI’s chat completions, with or without /v1; without it there are no models'),
    OPENAI_API_KEY: apiKey().describe('Its API key'),
    OPENAI_MODELS: list(z.string().max(180))
      .default([])
      .describe('Models to offer, between commas; empty: what the server lists'),
    OPENAI_MODELS_PUBLIC: bool()
      .default(false)
      .describe('Whether models are for every user until an administrator says otherwise'),
    OPENAI_LIMIT_FIELD: z
      .enum(['max_tokens', 'max_completion_tokens'])
      .default('max_tokens')
      .describe('How the server calls the limit of output tokens'),
    UPSTREAM_CONNECTIONS: whole({ min: 1, max: 10_000 })
      .default(1024)
      .describe('Connections to each upstream, which is the number of answers at once'),
    UPSTREAM_CONNECT_TIMEOUT: durationMs({ min: '10ms', max: '60s' })
      .prefault('3s')
      .describe('Longest wait for a connection'),
    UPSTREAM_FIRST_BYTE_TIMEOUT: durationMs({ min: '10ms', max: '1h' })
      .prefault('60s')
      .describe('Longest wait for the first part of an answer'),
    UPSTREAM_IDLE_TIMEOUT: durationMs({ min: '10ms', max: '1h' })
      .prefault('60s')
      .describe('Longest silence within an answer; comments do not count'),
    UPSTREAM_TOTAL_TIMEOUT: durationMs({ min: '10ms', max: '24h' }).prefault('15m').describe('Longest answer'),

    DEFAULT_OUTPUT_TOKENS: whole({ min: 1, max: 1_000_000 })
      .default(1024)
      .describe('Output tokens of an answer when its chatflow names no limit'),
    MIN_OUTPUT_TOKENS: whole({ min: 1, max: 1_000_000 })
      .default(256)
      .describe('The shortest answer worth beginning for a small balance'),
    ...meteringVariables,
    HOLD_RENEW_INTERVAL: durationMs({ min: '20ms', max: '60s' })
      .prefault('15s')
      .describe('How often the holds of running answers are renewed'),
    CHECKPOINT_INTERVAL: durationMs({ min: '10ms', max: '60s' })
      .prefault('2s')
      .describe('How often progress is written into the journal, beside every 256 tokens'),
    JOURNAL_LEASE: durationMs({ min: '50ms', max: '10m' })
      .prefault('30s')
      .describe('After this silence of a process others end its holds'),
    SESSION_LEASE: durationMs({ min: '50ms', max: '10m' })
      .prefault('60s')
      .describe('After this silence of a process its conversations are free again'),
    LEFTOVERS_INTERVAL: durationMs({ min: '10ms', max: '60s' })
      .prefault('1s')
      .describe('How often unfinished settlements are looked at'),
    HEARTBEAT_INTERVAL: durationMs({ min: '10ms', max: '10m' })
      .prefault('15s')
      .describe('How often a quiet stream is kept alive'),
    CLIENT_STALL_TIMEOUT: durationMs({ min: '10ms', max: '1h' })
      .prefault('60s')
      .describe('How long a client may leave its answer unread before it is ended'),

    ...streamVariables,
    ...limitVariables,

    SYNC_ON_START: bool().default(false).describe('Synchronise the chatflows when the service starts'),
    SYNC_INTERVAL: durationMs({ max: '24h' })
      .prefault('0s')
      .describe('How often the chatflows are synchronised; 0: only when asked'),
    SYNC_MAX_DELETED_PERCENT: whole({ max: 100 })
      .default(50)
      .describe('Share of the chatflows one synchronisation may delete'),
    CHATFLOW_FRESHNESS: durationMs({ max: '5s' })
      .prefault('2s')
      .describe('How long another process’s change of access may stay unseen'),
  })
  .superRefine(verifiesOneAlgorithm)
  .refine((env) => env.SESSION_LEASE > 2 * env.HOLD_RENEW_INTERVAL, {
    path: ['SESSION_LEASE'],
    message: 'must be more than twice HOLD_RENEW_INTERVAL, which keeps it alive',
  })
  .refine((env) => env.JOURNAL_LEASE > 2 * env.CHECKPOINT_INTERVAL, {
    path: ['JOURNAL_LEASE'],
    message: 'must be more than twice CHECKPOINT_INTERVAL, which keeps it alive',
  })
  .superRefine(distinctKeys(['JWT_ACCESS_SECRET', 'JWT_SERVICE_SECRET']));

export type Config = z.output<typeof Variables>;

/** @throws ConfigError with every fault at once. */
export const readEnvironment = (env: Environment = process.env): Config => readConfig(Variables, env);
