import { lookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { buildConnector } from 'undici';

/** A host that whoever named it must not reach. The message names none: it may be logged. */
export class PrivateAddress extends Error {
  override readonly name = 'PrivateAddress';
  constructor() {
    super('the host is not on the public internet');
  }
}

/** The part of IPv6 that is given out for the internet (RFC 4291, section 2.4); mapped, translated and local ones lie outside. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');
/** Public by its number, but answered by the cloud's own agent on every machine there. */
const METADATA = new Set(['168.63.129.16']);

/** Whether an address is one of the public internet; anything special or unreadable is not. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv6 ? parsed.match(GLOBAL_IPV6) : !METADATA.has(parsed.toString());
}

/** The host of a URL when it is a number instead of a name. URLs write decimal, octal and hex spellings as the plain address. */
export function addressIn(url: URL): string | undefined {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) === 0 ? undefined : host;
}

type Resolve = (host: string, done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void) => void;

const resolveAll: Resolve = (host, done) => lookup(host, { all: true, verbatim: true }, done);

/**
 * Resolves a name for a connection and refuses it when any of its addresses is private. The connection is made to what was judged
 * here, so a name that answers differently a moment later gains nothing.
 */
export function createPublicLookup(resolve: Resolve = resolveAll): LookupFunction {
  return (host, options, done) => {
    resolve(host, (error, addresses) => {
      if (error) return done(error, '', 0);
      const [first] = addresses;
      if (!first || !addresses.every(({ address }) => isPublicAddress(address)))
        return done(new PrivateAddress(), '', 0);
      if (options.all === true) return done(null, addresses);
      return done(null, first.address, first.family);
    });
  };
}

/** Connects to the public internet alone. The address is judged when the connection is made: nothing can change it in between. */
export function publicConnector(connectMs: number, lookupPublic: LookupFunction = createPublicLookup()) {
  const connect = buildConnector({ timeout: connectMs, allowH2: false, lookup: lookupPublic });
  const guarded: buildConnector.connector = (target, done) => {
    // A host that is a number is not looked up.
    const address = addressIn(new URL(`${target.protocol}//${bracketed(target.hostname)}`));
    if (address !== undefined && !isPublicAddress(address)) return done(new PrivateAddress(), null);
    return connect(target, done);
  };
  return guarded;
}

const bracketed = (host: string): string => (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host);
