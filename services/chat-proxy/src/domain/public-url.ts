import { addressIn, isPublicAddress } from '@tollgate/http-kit/public-address';

const LONGEST_URL = 2048;
/** Names that never leave a machine or a network (RFC 6761, RFC 6762, RFC 8375 and the clouds' own). */
const LOCAL_NAMES = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|arpa|onion|test|invalid)$/;
/**
 * Scheme, host and port as every parser reads them. Ours takes a backslash for a slash and passes over tabs, where that of the
 * server which reads the address may find another host behind an `@`.
 */
const UNAMBIGUOUS =
  /^[Hh][Tt]{2}[Pp][Ss]?:\/\/(?:[A-Za-z\d_.-]+|\[[A-Fa-f\d:.]+\])(?::\d{1,5})?(?:[/?#][^\\\s\p{Cc}]*)?$/u;
const PORTS: ReadonlySet<string> = new Set(['', '80', '443', '8080', '8443']);

/**
 * Whether a URL that somebody named may be handed to an AI server, which then reads it: http or https on a web port, without
 * credentials, and not a host of a private network in any spelling. Whoever connects must judge the address once more, because
 * a public name may have a private one.
 */
export function isPublicUrl(text: string): boolean {
  const url = text.length <= LONGEST_URL && UNAMBIGUOUS.test(text) ? URL.parse(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || !PORTS.has(url.port)) return false;
  if (url.username !== '' || url.password !== '') return false;
  // Decimal, octal and hex hosts have become plain addresses by now.
  const address = addressIn(url);
  if (address !== undefined) return isPublicAddress(address);
  const name = url.hostname.replace(/\.$/, '');
  const labels = name.split('.');
  return labels.length > 1 && labels.every((label) => label !== '') && !LOCAL_NAMES.test(name);
}
