export { bearerToken, type Refusal, REFUSALS, refusalOf } from './bearer.ts';
export {
  AccessClaims,
  type ClaimsProfile,
  RefreshClaims,
  SERVICE_TOKEN_SECONDS,
  ServiceClaims,
} from './claims.ts';
export { CLOCK_TOLERANCE_SECONDS, type Clock } from './clock.ts';
export { KeysUnavailableError, TokenError, type TokenFault } from './errors.ts';
export { readSecretSet } from './jwk.ts';
export { readPublicKeys } from './key-text.ts';
export type { KeyRing, NamedSecret } from './keys.ts';
export type { PublicKeys } from './public-keys.ts';
export { createRemoteKeys, type RemoteKeys, type RemoteKeysOptions } from './remote-keys.ts';
export {
  createRefreshVerifier,
  createServiceVerifier,
  createVerifier,
  type RefreshVerifier,
  type RefreshVerifierOptions,
  type ServiceVerifier,
  type ServiceVerifierOptions,
  type Verifier,
  type VerifierOptions,
} from './verify.ts';
