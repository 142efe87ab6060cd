export interface ByteRange {
  readonly start: number;
  /** Of the byte behind the last one. */
  readonly end: number;
}

/**
 * What a Range header asks for (RFC 9110, section 14.2): one range, `whole` for none or for what is not understood, and
 * `unsatisfiable` for one behind the end.
 */
export function rangeOf(header: string | undefined, sizeBytes: number): ByteRange | 'whole' | 'unsatisfiable' {
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '') ?? [];
  if (first === '') return last === '' ? 'whole' : suffix(Number(last), sizeBytes);
  if (last !== '' && Number(last) < Number(first)) return 'whole';
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return Number(first) >= sizeBytes ? 'unsatisfiable' : { start: Number(first), end };
}

const suffix = (length: number, sizeBytes: number): ByteRange | 'unsatisfiable' =>
  length === 0 ? 'unsatisfiable' : { start: Math.max(0, sizeBytes - length), end: sizeBytes };
