import { isIPv6 } from 'node:net';

const GROUPS_OF_A_SITE = 4;
const ALL_GROUPS = 8;

/**
 * The part of an address that one customer holds: an IPv4 address, or the /64 of an IPv6 one (RFC 6177), so that nobody
 * gets a fresh limit by counting up within their own network. An IPv4 address in IPv6 clothes counts as IPv4.
 */
export function siteOf(ip: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip);
  if (mapped?.[1] !== undefined) return mapped[1];
  const bare = ip.split('%', 1)[0] ?? ip;
  if (!isIPv6(bare)) return ip;
  const [head = '', tail] = bare.split('::', 2);
  const left = groupsOf(head);
  const right = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array.from({ length: ALL_GROUPS - left.length - right.length }, () => '0');
  return `${[...left, ...zeros, ...right].slice(0, GROUPS_OF_A_SITE).join(':')}::/64`;
}

const groupsOf = (text: string): string[] =>
  text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16).toString(16));
