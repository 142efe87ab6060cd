import type { ApiKey } from '../../domain/api-key.ts';
import type { Ports } from '../../ports.ts';

/**
 * Tells the other services that what they know of the key is out of date; a key that still counts is asked about again. The key
 * itself says when it ended, so that whoever dies before this has left the telling to another.
 */
export async function revokeKey(
  { revocations, clock }: Pick<Ports, 'clock' | 'revocations'>,
  { id: keyId, endedAt }: Pick<ApiKey, 'id' | 'endedAt'>,
) {
  const ended = { kind: 'key', keyId, reason: 'key-revoked', ...(endedAt && { endedAt }) } as const;
  await revocations.add([ended], new Date(clock.now()));
}
