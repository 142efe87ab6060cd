import type * as api from '@opentelemetry/api';

type Fields = Readonly<Record<string, string | number | boolean>>;
type Kind = 'server' | 'client' | 'internal';

/** One step of a trace; what @tollgate/http-kit asks of one. */
export type TracedSpan = Readonly<{
  traceId: string;
  traceparent: string;
  child(name: string, kind: 'client' | 'internal', fields?: Fields): TracedSpan;
  rename(name: string): void;
  note(fields: Fields): void;
  end(fault?: string): void;
}>;

export type TracingOptions = Readonly<{
  service: string;
  version: string;
  /** The base address of a collector that takes OTLP over HTTP; nothing is traced where it is absent. */
  endpoint: string | undefined;
  /** Sent with every batch, for a collector that asks who it is. */
  headers?: Readonly<Record<string, string>>;
  /** Share of the traces begun here that are kept; one begun elsewhere is kept when it was kept there. Default: 1. */
  ratio?: number;
}>;

export type Tracing = Readonly<{
  tracer:
    | Readonly<{
        begin(name: string, kind: 'server' | 'internal', traceparent: string | undefined, fields?: Fields): TracedSpan;
      }>
    | undefined;
  /** Sends what waits, for two seconds at most. */
  close(): Promise<void>;
}>;

const MOST_WAITING = 2048;
const BATCH = 512;
const BATCH_EVERY_MS = 1000;
const EXPORT_MS = 3000;
const CLOSE_MS = 2000;
const MOST_FIELDS = 32;
const LONGEST_FIELD = 256;

/**
 * Traces that go to a collector in batches, beside the requests. The library is loaded only when there is a collector; one
 * that is slow or dead costs the traces it does not take, and nothing else.
 */
export async function openTracing(options: TracingOptions): Promise<Tracing> {
  const { service, version, endpoint, headers = {}, ratio = 1 } = options;
  if (endpoint === undefined) return { tracer: undefined, close: async () => {} };
  const [otel, sdk, { resourceFromAttributes }, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-http'),
  ]);
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': `tollgate-${service}`, 'service.version': version }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(ratio) }),
    spanLimits: { attributeCountLimit: MOST_FIELDS, attributeValueLengthLimit: LONGEST_FIELD },
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url, headers: { ...headers }, timeoutMillis: EXPORT_MS }),
        maxQueueSize: MOST_WAITING,
        maxExportBatchSize: BATCH,
        scheduledDelayMillis: BATCH_EVERY_MS,
        exportTimeoutMillis: EXPORT_MS,
      }),
    ],
  });
  const wrap = wrapper(otel, provider.getTracer('tollgate', version));
  return {
    tracer: {
      begin: (name, kind, traceparent, fields) => wrap(name, kind, remote(otel, traceparent), fields),
    },
    async close() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, CLOSE_MS);
      await Promise.race([provider.shutdown().catch(() => undefined), promise]);
      clearTimeout(timer);
    },
  };
}

type Api = typeof api;
type Context = api.Context;

/** W3C Trace Context; whoever calls has looked that it is well formed. */
function remote(otel: Api, traceparent: string | undefined): Context {
  const [, traceId, spanId, flags] = traceparent?.split('-') ?? [];
  if (traceId === undefined || spanId === undefined) return otel.ROOT_CONTEXT;
  const traceFlags = flags === '01' ? otel.TraceFlags.SAMPLED : otel.TraceFlags.NONE;
  return otel.trace.setSpanContext(otel.ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function wrapper(otel: Api, tracer: api.Tracer) {
  const KINDS = { server: otel.SpanKind.SERVER, client: otel.SpanKind.CLIENT, internal: otel.SpanKind.INTERNAL };

  function begin(name: string, kind: Kind, parent: Context, fields: Fields = {}): TracedSpan {
    return wrapped(tracer.startSpan(name, { kind: KINDS[kind], attributes: { ...fields } }, parent));
  }

  function wrapped(span: api.Span): TracedSpan {
    const { traceId, spanId, traceFlags } = span.spanContext();
    return {
      traceId,
      traceparent: `00-${traceId}-${spanId}-${(traceFlags & otel.TraceFlags.SAMPLED) === 0 ? '00' : '01'}`,
      child: (name, kind, fields) => begin(name, kind, otel.trace.setSpan(otel.ROOT_CONTEXT, span), fields),
      rename: (name) => void span.updateName(name),
      note: (fields) => void span.setAttributes({ ...fields }),
      end(fault) {
        if (fault !== undefined) {
          span.setAttribute('error.type', fault);
          span.setStatus({ code: otel.SpanStatusCode.ERROR });
        }
        span.end();
      },
    };
  }

  return begin;
}
