import type { Clock, KeyRing } from '@tollgate/jwt-claims';
import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';

/** Tokens with which this service calls accounting. */
export function accountingToken(keys: KeyRing, clock: Clock): () => Promise<string> {
  const source = createServiceTokenSource({ service: 'auth', keys, clock });
  return () => source.tokenFor('accounting');
}
