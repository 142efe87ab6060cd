import {
  alias,
  baseUrl,
  bool,
  distinctKeys,
  failpointVariables,
  durationMs,
  type Environment,
  keyCacheVariables,
  mongoVariables,
  portVariable,
  readConfig,
  refusesTestHooks,
  serviceTokenVariables,
  serviceVariables,
  verifiesOneAlgorithm,
  verifyingVariables,
  whole,
  workspaceVariables,
} from '@tollgate/config';
import { libraryVariables } from './config/library.ts';
import { readPublicKeys } from '@tollgate/jwt-claims';
import { z } from 'zod';
import { leftoverVariables } from './config/leftovers.ts';
import { limitVariables } from './config/limits.ts';
import { streamVariables } from './config/streams.ts';
import { fileVariables } from './config/files.ts';
import { openAiVariables } from './config/openai.ts';
import { meteringVariables } from './config/metering.ts';
import {
  upstreamKeysIn,
  upstreamsFit,
  upstreamsOf,
  type UpstreamsConfig,
  upstreamVariables,
} from './config/upstreams.ts';

/** Every variable of this service, with a sentence for its reader. */
export const Variables = z
  .object({
    ...serviceVariables,
    ...portVariable(8000),
    ...mongoVariables({ connections: 50 }),
    ...serviceTokenVariables,
    ...workspaceVariables,
    ...failpointVariables,
    ...verifyingVariables(readPublicKeys),

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

    ...upstreamVariables,
    ...openAiVariables,

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
    ...leftoverVariables,
    HEARTBEAT_INTERVAL: durationMs({ min: '10ms', max: '10m' })
      .prefault('15s')
      .describe('How often a quiet stream is kept alive'),
    CLIENT_STALL_TIMEOUT: durationMs({ min: '10ms', max: '1h' })
      .prefault('60s')
      .describe('How long a client may take nothing, or next to nothing, of its answer before it is ended'),

    ...libraryVariables,
    ...streamVariables,
    ...limitVariables,
    ...fileVariables,

    SYNC_ON_START: bool().default(false).describe('Synchronise the chatflows when the service starts'),
    SYNC_INTERVAL: durationMs({ max: '24h' })
      .prefault('5m')
      .describe('How often the chatflows are synchronised; 0: only when asked'),
    SYNC_MAX_DELETED_PERCENT: whole({ max: 100 })
      .default(50)
      .describe('Share of the chatflows one synchronisation may delete'),
    CHATFLOW_FRESHNESS: durationMs({ max: '5s' })
      .prefault('2s')
      .describe('How long another process’s change of access may stay unseen'),
  })
  .superRefine(verifiesOneAlgorithm)
  .superRefine(refusesTestHooks)
  .refine((env) => env.SESSION_LEASE > 2 * env.HOLD_RENEW_INTERVAL, {
    path: ['SESSION_LEASE'],
    message: 'must be more than twice HOLD_RENEW_INTERVAL, which keeps it alive',
  })
  .refine((env) => env.JOURNAL_LEASE > 2 * env.CHECKPOINT_INTERVAL, {
    path: ['JOURNAL_LEASE'],
    message: 'must be more than twice CHECKPOINT_INTERVAL, which keeps it alive',
  })
  .refine((env) => env.SETTLE_RETRY_LONGEST >= env.SETTLE_RETRY_FIRST, {
    path: ['SETTLE_RETRY_LONGEST'],
    message: 'must not be less than SETTLE_RETRY_FIRST',
  })
  .superRefine(upstreamsFit)
  .superRefine(distinctKeys(['JWT_ACCESS_SECRET', 'JWT_SERVICE_SECRET']));

/** The variables, and what they say about AI servers put together. */
export type Config = z.output<typeof Variables> & { readonly upstreams: UpstreamsConfig };

/** @throws ConfigError with every fault at once. */
export function readEnvironment(env: Environment = process.env): Config {
  const config = readConfig(Variables.superRefine(upstreamKeysIn(env)), env);
  return { ...config, upstreams: upstreamsOf(config, env) };
}
