import { expect, it } from '@jest/globals';
import { tamperedHolds } from '../services/accounting/src/failpoints-deps.ts';
import { createTampering } from '../services/chat-proxy/src/deps/failpoints.ts';

// That a service in production does not start with FAILPOINTS: start-secrets.test.ts.

it('puts nothing between flows and ports when no file of failpoints is named', () => {
  const ports = [{}, {}, {}, {}] as never[];
  const { stores, accounting, upstreams } = createTampering(undefined);
  expect(stores(ports[0] as never)).toBe(ports[0]);
  expect(accounting(ports[1] as never)).toBe(ports[1]);
  expect(upstreams(ports[2] as never)).toBe(ports[2]);
  expect(tamperedHolds(ports[3] as never, undefined)).toBe(ports[3]);
});
