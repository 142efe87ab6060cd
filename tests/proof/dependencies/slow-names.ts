// Loaded before a service: one name is looked up for ever, as where a resolver does not answer.
import dns from 'node:dns';
import { SLOW_HOST } from './slow-host.ts';

const { lookup } = dns;

/** Node's own callers ask for this function anew each time. */
Object.assign(dns, {
  lookup(host: string, ...others: unknown[]): void {
    if (host !== SLOW_HOST) Reflect.apply(lookup, dns, [host, ...others]);
  },
});
