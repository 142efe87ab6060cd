import type { KeyRing } from '@tollgate/jwt-claims';
import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';

/** Tokens with which this service calls accounting. */
export function accountingToken(keys: KeyRing): () => Promise<string> {
  const source = createServiceTokenSource({ service: 'auth', keys });
  return () => source.tokenFor('accounting');
}
