/** Characters of path and query; every proxy on the way takes as much (RFC 9110, section 4.1, recommends 8,000). */
export const LONGEST_ADDRESS = 8192;

/** Whether the bytes of a request that was too long for the parser begin with an address that is too long by itself. */
export function hasLongAddress(packet: unknown): boolean {
  if (!Buffer.isBuffer(packet)) return false;
  const lineEnd = packet.indexOf('\n');
  const line = packet.toString('latin1', 0, lineEnd === -1 ? packet.length : lineEnd);
  return /^[A-Z]+ \S/.test(line) && line.length > LONGEST_ADDRESS;
}

/** The methods that operations and browsers use. TRACE would show a client's headers to its scripts; others mean nothing here. */
const LISTED: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
export const isListed = (method: string | undefined): boolean => LISTED.has(method ?? '');
