import { tracingConfig } from '@tollgate/config';
import { type Closers, createClosers, createServiceClock, packageVersion, requestContext } from '@tollgate/http-kit';
import {
  createHeartbeats,
  createLogger,
  createMetrics,
  type Logger,
  type Metrics,
  openTracing,
  type Tracing,
} from '@tollgate/telemetry';
import type { Config } from '../config.ts';
import type { Tell } from '../domain/facts.ts';
import { createTell } from '../events.ts';
import type { Clock } from '../ports.ts';

export interface Overrides {
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface Instruments {
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly closers: Closers;
  /** Absent where nothing is traced. */
  readonly tracer: Tracing['tracer'];
  readonly tell: Tell;
  readonly beat: ReturnType<typeof createHeartbeats>;
}

/** The time, and everything by which the service is watched. */
export async function openInstruments(config: Config, overrides: Overrides): Promise<Instruments> {
  const context = requestContext.fields;
  const logger = overrides.logger ?? createLogger({ service: 'chat-proxy', level: config.LOG_LEVEL, context });
  const metrics = createMetrics({ service: 'chat-proxy' });
  const closers = createClosers(logger);
  const version = await packageVersion(new URL('..', import.meta.url).href);
  const tracing = await openTracing({ service: 'chat-proxy', version, ...tracingConfig(config) });
  const { tracer } = closers.add('traces', tracing);
  return {
    version,
    clock: overrides.clock ?? createServiceClock(config.CLOCK_OFFSET_FILE),
    logger,
    metrics,
    closers,
    tracer,
    tell: createTell(logger, metrics),
    beat: createHeartbeats(metrics),
  };
}
