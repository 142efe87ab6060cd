import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';
import type { Clock, KeyRing } from '@tollgate/jwt-claims';

/** Tokens with which this service calls a neighbour. */
export function serviceToken(keys: KeyRing, neighbour: 'accounting' | 'auth', clock: Clock): () => Promise<string> {
  const source = createServiceTokenSource({ service: 'chat-proxy', keys, clock });
  return () => source.tokenFor(neighbour);
}
