import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';
import type { KeyRing } from '@tollgate/jwt-claims';

/** Tokens with which this service calls a neighbour. */
export function serviceToken(keys: KeyRing, neighbour: 'auth'): () => Promise<string> {
  const source = createServiceTokenSource({ service: 'accounting', keys });
  return () => source.tokenFor(neighbour);
}
