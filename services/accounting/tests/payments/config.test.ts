import { describe, expect, it } from '@jest/globals';
import { readAccountingConfig } from '../../src/config.ts';

const ring = (letter: string) => Buffer.from(`${letter} 0123456789 abcdefghijklmnopqrstuvwxyz`).toString('base64');
const ENVIRONMENT = {
  DATABASE_URL: 'postgres://localhost/books',
  JWT_ACCESS_SECRET: ring('a'),
  JWT_SERVICE_SECRET: ring('b'),
};
const read = (more: Record<string, string>) => readAccountingConfig({ ...ENVIRONMENT, ...more });

describe('a payment provider', () => {
  it.each([
    ['stripe', 'STRIPE_WEBHOOK_SECRET', 'no secret', undefined],
    ['stripe', 'STRIPE_WEBHOOK_SECRET', 'an empty secret', ''],
    ['stripe', 'STRIPE_WEBHOOK_SECRET', 'a short secret', 'whsec_short'],
    ['stripe', 'STRIPE_WEBHOOK_SECRET', 'a short one beside a good one', `new:whsec_${ring('c')},old:whsec_x`],
    ['standard', 'STANDARD_WEBHOOK_SECRET', 'an empty secret', ''],
    [
      'standard',
      'STANDARD_WEBHOOK_SECRET',
      'a secret of few bytes',
      `whsec_${Buffer.from('a1b2c3d4e5f6').toString('base64')}`,
    ],
    ['standard', 'STANDARD_WEBHOOK_SECRET', 'a secret that is not base64', `whsec_${'!?*-'.repeat(10)}abcdef`],
  ])('%s keeps the service from starting (%s: %s)', (provider, name, _what, secret) => {
    const env = { PAYMENT_PROVIDERS: provider, ...(secret !== undefined && { [name]: secret }) };
    expect(() => read(env)).toThrow(name);
  });

  it('is accepted with its secrets, the first named as the usual one; without a name none is', () => {
    const both = read({
      PAYMENT_PROVIDERS: 'standard, stripe',
      STRIPE_WEBHOOK_SECRET: `new:whsec_${ring('c')},old:whsec_${ring('d')}`,
      STANDARD_WEBHOOK_SECRET: `whsec_${ring('e')}`,
    }).payments.providers;
    expect([...both.keys()]).toEqual(['standard', 'stripe']);
    expect(both.get('stripe')).toHaveLength(2);
    expect(read({ STRIPE_WEBHOOK_SECRET: `whsec_${ring('c')}` }).payments.providers.size).toBe(0);
    expect(() => read({ PAYMENT_PROVIDERS: 'paypal' })).toThrow('PAYMENT_PROVIDERS');
  });
});
