import { createWaitingRoom } from '../waiting.ts';
import { listen } from './fake-server.ts';

/** One span as it arrived, its attributes flattened. */
export type CollectedSpan = {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Whether it ended with a fault. */
  readonly failed: boolean;
};

export type TraceCollector = {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  /** Everything that came, oldest first. */
  readonly spans: readonly CollectedSpan[];
  /** Everything as it stood on the wire, headers included. */
  readonly raw: string;
  /** Resolves with all spans once they are as wanted. */
  until(isThere: (spans: readonly CollectedSpan[]) => boolean): Promise<readonly CollectedSpan[]>;
  stop(): Promise<void>;
};

const KEPT = 50_000;

type Value = { stringValue?: string; intValue?: string | number; doubleValue?: number; boolValue?: boolean };
type Attribute = { key: string; value: Value };
type Batch = {
  resourceSpans?: {
    resource?: { attributes?: Attribute[] };
    scopeSpans?: {
      spans?: {
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        name: string;
        attributes?: Attribute[];
        status?: { code?: number };
      }[];
    }[];
  }[];
};

/** Takes traces in OTLP over HTTP, as JSON, on 127.0.0.1. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const spans: CollectedSpan[] = [];
  let raw = '';
  const room = createWaitingRoom('the trace collector');
  const server = await listen(async ({ path, headers, bytes }, res) => {
    raw += `${path} ${JSON.stringify(headers)} ${bytes.toString()}\n`;
    spans.push(...spansIn(JSON.parse(bytes.toString()) as Batch));
    if (spans.length > KEPT) throw new RangeError(`more than ${KEPT} spans`);
    room.changed();
    res.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  return {
    url: server.origin,
    spans,
    get raw() {
      return raw;
    },
    until: (isThere) => room.until('spans', () => (isThere(spans) ? spans : undefined)),
    stop: async () => {
      room.close();
      await server.close();
    },
  };
}

const ERROR = 2;

const spansIn = ({ resourceSpans = [] }: Batch): CollectedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ spans = [] }) =>
      spans.map(({ name, traceId, spanId, parentSpanId, attributes, status }) => ({
        service: String(fieldsOf(resource?.attributes)['service.name']),
        name,
        traceId,
        spanId,
        parentSpanId,
        fields: fieldsOf(attributes),
        failed: status?.code === ERROR,
      })),
    ),
  );

const fieldsOf = (attributes: Attribute[] = []): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
