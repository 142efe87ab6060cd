const LENGTH = 55;
const SHAPE = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;
const LONGEST = 512;

export interface TraceParent {
  /** As it is sent on: always of version 00. */
  readonly text: string;
  readonly traceId: string;
}

/** The `traceparent` of a request (W3C Trace Context, section 3.2); undefined when it is absent or not well formed. */
export function traceParentIn(header: unknown): TraceParent | undefined {
  if (typeof header !== 'string' || !hasOneLength(header)) return undefined;
  const [, traceId, spanId, flags = ''] = SHAPE.exec(header.slice(0, LENGTH)) ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  const isSampled = (Number.parseInt(flags, 16) & 1) === 1;
  return { text: `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`, traceId };
}

/** A later version may say more after a dash; what is known of it keeps its place. */
const hasOneLength = (header: string): boolean =>
  header.length === LENGTH || (header.length <= LONGEST && !header.startsWith('00') && header[LENGTH] === '-');
