import type { Ports } from '../../ports.ts';

/** Tells the other services that what they know of the key is out of date; a key that still counts is asked about again. */
export async function revokeKey({ revocations, clock }: Pick<Ports, 'clock' | 'revocations'>, keyId: string) {
  await revocations.add([{ kind: 'key', keyId, reason: 'key-revoked' }], new Date(clock.now()));
}
