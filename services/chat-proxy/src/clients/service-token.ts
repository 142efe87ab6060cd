import { createServiceTokenSource } from '@tollgate/jwt-claims/sign';
import type { KeyRing } from '@tollgate/jwt-claims';

/** Tokens with which this service calls accounting. */
export function accountingToken(keys: KeyRing): () => Promise<string> {
  const source = createServiceTokenSource({ service: 'chat-proxy', keys });
  return () => source.tokenFor('accounting');
}
