import type { LookupAddress } from 'node:dns';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { addressIn, createPublicLookup, isPublicAddress } from '@tollgate/http-kit/public-address';
import { startWebhookSink, type WebhookSink } from '@tollgate/test-kit';
import { createWebhookChannel } from '../../src/clients/webhook-channel.ts';
import type { Delivery } from '../../src/ports.ts';

let hooks: WebhookSink;
beforeAll(async () => {
  hooks = await startWebhookSink();
});
beforeEach(() => hooks.clear());
afterAll(() => hooks.stop());

const DELIVERY: Delivery = {
  eventId: 'e',
  kind: 'webhook',
  destination: 'd',
  leaseId: 'l',
  attempts: 1,
  ageSeconds: 0,
  event: {
    type: 'ledger.drift',
    timestamp: '2030-01-01T00:00:00.000Z',
    data: { invariant: 'I1', title: '', offenders: 1, first: null },
  },
  owner: { username: null, email: null },
};
const SECRETS = [{ reveal: () => `whsec_${Buffer.alloc(32, 7).toString('base64')}` }];

/** What delivering to a host answers; every request that arrives at the sink is a hole. */
async function deliverTo(host: string, resolve?: Parameters<typeof createPublicLookup>[0]) {
  const channel = createWebhookChannel({
    url: `http://${host}:${hooks.port}/hook`,
    secrets: SECRETS,
    allowPrivate: false,
    connectMs: 1000,
    totalMs: 2000,
    ...(resolve && { lookup: createPublicLookup(resolve) }),
  });
  try {
    return await channel.deliver(DELIVERY);
  } finally {
    await channel.close();
  }
}

const REFUSED = { outcome: 'retry', error: 'the host is not on the public internet' };
const answering =
  (...addresses: string[]): NonNullable<Parameters<typeof createPublicLookup>[0]> =>
  (_host, done) =>
    done(
      null,
      addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 })),
    );

describe('a webhook never reaches', () => {
  it.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0',
    '0.0.0.0',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    'localhost',
    'LOCALHOST',
  ])('this machine by the host %s', async (host) => {
    expect(await deliverTo(host)).toEqual(REFUSED);
    expect(hooks.received).toEqual([]);
  });

  it.each([
    ['127.0.0.1'],
    ['10.0.0.1'],
    ['::1'],
    ['::ffff:10.0.0.1'],
    ['93.184.215.14', '127.0.0.1'],
    ['127.0.0.1', '93.184.215.14'],
  ])('a private network through a name that resolves to %s %s', async (...addresses) => {
    expect(await deliverTo('hooks.example.test', answering(...addresses))).toEqual(REFUSED);
    expect(hooks.received).toEqual([]);
  });

  it('a name that nobody knows', async () => {
    const unknown: Parameters<typeof createPublicLookup>[0] = (_host, done) =>
      done(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), []);
    expect(await deliverTo('nowhere.example.test', unknown)).toEqual({ outcome: 'retry', error: 'ENOTFOUND' });
  });
});

describe('an address', () => {
  it.each([
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '127.8.8.8',
    '0.1.2.3',
    '169.254.169.254',
    '100.64.0.1',
    '100.100.100.200',
    '192.0.0.192',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '168.63.129.16',
    '::',
    '::1',
    '::ffff:8.8.8.8',
    '::8.8.8.8',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'fc00::1',
    'fd00:ec2::254',
    'ff02::1',
    '64:ff9b::808:808',
    '2001::1',
    '2001:db8::1',
    '2002:808:808::1',
    '100::1',
    'nonsense',
    '',
  ])('%s is not of the public internet', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '2a00:1450::1'])(
    '%s is of the public internet',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  it('is seen in a URL whatever its spelling, and a name is none', () => {
    const seen = (url: string) => addressIn(new URL(url));
    expect(['http://2130706433', 'http://0x7f.1', 'http://[::1]:80', 'http://example.test'].map(seen)).toEqual([
      '127.0.0.1',
      '127.0.0.1',
      '::1',
      undefined,
    ]);
  });

  it('is asked for once for each connection, which is made to what was judged', async () => {
    let asked = 0;
    const find = createPublicLookup((host, done) => {
      asked += 1;
      answering(asked === 1 ? '8.8.8.8' : '127.0.0.1')(host, done);
    });
    const ask = () =>
      new Promise((resolve) => {
        find('rebind.example.test', { all: false }, (error, address) => resolve(error?.message ?? address));
      });
    expect([await ask(), await ask(), asked]).toEqual(['8.8.8.8', REFUSED.error, 2]);
  });

  it('is given in the form that the connection asks for', async () => {
    const find = createPublicLookup(answering('8.8.8.8', '1.1.1.1'));
    const ask = (all: boolean) =>
      new Promise((resolve) => {
        find('x', { all }, (...answer) => resolve(answer));
      });
    expect(await ask(false)).toEqual([null, '8.8.8.8', 4]);
    expect(await ask(true)).toEqual([
      null,
      [
        { address: '8.8.8.8', family: 4 },
        { address: '1.1.1.1', family: 4 },
      ],
    ]);
  });
});
