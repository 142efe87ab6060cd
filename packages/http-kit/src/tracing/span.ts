/** What a span says of its work; few words of our own, never what people wrote, sent or asked for. */
export type SpanFields = Readonly<Record<string, string | number | boolean>>;

/** One step of a trace. Nothing here throws or waits. */
export interface Span {
  readonly traceId: string;
  /** For the service that is called within this step (W3C Trace Context). */
  readonly traceparent: string;
  child(name: string, kind: 'client' | 'internal', fields?: SpanFields): Span;
  rename(name: string): void;
  note(fields: SpanFields): void;
  /** `fault`: a code or the name of an error, never its text. */
  end(fault?: string): void;
}

/** Begins traces, or goes on with those that others have begun. */
export interface Tracer {
  begin(name: string, kind: 'server' | 'internal', traceparent: string | undefined, fields?: SpanFields): Span;
}
