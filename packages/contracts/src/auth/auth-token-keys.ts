import { z } from 'zod';
import { operation } from '../operation.ts';

/** An Ed25519 public key (RFC 8037) with its name. */
const TokenKey = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  kid: z.string(),
  alg: z.literal('EdDSA'),
  use: z.literal('sig'),
});

const TokenKeySet = z.object({ keys: z.array(TokenKey).max(8) }).meta({ id: 'TokenKeySet' });
export type TokenKeySet = z.infer<typeof TokenKeySet>;

export const readTokenKeys = operation({
  id: 'readTokenKeys',
  method: 'GET',
  path: '/.well-known/jwks.json',
  summary:
    'The public keys of access tokens as a JWK Set (RFC 7517), the current one first; there when JWT_ALG is EdDSA',
  permission: 'public',
  result: TokenKeySet,
});
