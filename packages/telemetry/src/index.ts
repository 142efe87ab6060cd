export { createEvents, type Emit, type EventDefinition, type EventDefinitions, type EventPayload } from './events.ts';
export { type FastifyLogger, toFastifyLogger } from './fastify-logger.ts';
export { type Fields, LOG_LEVELS, type LoggerOptions, type LogLevel } from './log-options.ts';
export { createLogger, type Logger } from './logger.ts';
export {
  type CounterMetric,
  createMetrics,
  type GaugeMetric,
  type HistogramMetric,
  type LabelRules,
  type MetricRow,
  type Labels,
  type Metrics,
  type MetricsOptions,
} from './metrics.ts';
export {
  createHeartbeats,
  createRequestObserver,
  type PoolFigures,
  watchDependencies,
  watchPools,
} from './service-metrics.ts';
export { openTracing, type Tracing } from './tracing.ts';
export { redact, type RedactOptions } from './redact.ts';
