import { isIPv4, isIPv6 } from 'node:net';

const ALL_GROUPS = 8;
const GROUPS_OF_A_SITE = 4;
/** What a /56 leaves of the fourth group of 16 bits. */
const HIGH_BYTE = 0xff00;

/**
 * The part of an address that one customer holds: an IPv4 address, or the /64 of an IPv6 one (RFC 6177), so that nobody
 * gets a fresh limit by counting up within their own network. An IPv4 address in IPv6 clothes counts as IPv4.
 */
export function siteOf(ip: string): string {
  const bare = bareAddress(ip);
  return isIPv6(bare) ? `${siteGroups(bare).join(':')}::/64` : bare;
}

/** The neighbourhood of an address, IPv4 /24 or IPv6 /56: what somebody who guesses passwords can easily spread over. */
export function networkOf(ip: string): string {
  const bare = bareAddress(ip);
  if (isIPv4(bare)) return bare.replace(/\d+$/, '0/24');
  if (!isIPv6(bare)) return bare;
  const [a, b, c, d = '0'] = siteGroups(bare);
  return `${a}:${b}:${c}:${(Number.parseInt(d, 16) & HIGH_BYTE).toString(16)}::/56`;
}

/** Without the clothes of IPv6 around an IPv4 address, and without a zone. */
function bareAddress(ip: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip);
  if (mapped?.[1] !== undefined) return mapped[1];
  const bare = ip.split('%', 1)[0] ?? ip;
  return isIPv6(bare) ? bare : ip;
}

function siteGroups(address: string): string[] {
  const [head = '', tail] = address.split('::', 2);
  const left = groupsOf(head);
  const right = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array.from({ length: ALL_GROUPS - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].slice(0, GROUPS_OF_A_SITE);
}

const groupsOf = (text: string): string[] =>
  text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16).toString(16));
