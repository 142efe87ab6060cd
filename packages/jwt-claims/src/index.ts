export {
  AccessClaims,
  type ClaimsProfile,
  RefreshClaims,
  SERVICE_TOKEN_SECONDS,
  ServiceClaims,
} from './claims.ts';
export { CLOCK_TOLERANCE_SECONDS, type Clock } from './clock.ts';
export { TokenError, type TokenFault } from './errors.ts';
export type { KeyRing, NamedSecret } from './keys.ts';
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
