/** Why a token was refused. For the log and for choosing between "log in again" and "not yours"; never shown to the caller. */
export type TokenFault =
  | 'missing'
  | 'malformed'
  | 'unknown-key'
  | 'bad-signature'
  | 'wrong-type'
  | 'bad-claims'
  | 'expired'
  | 'not-yet-valid'
  | 'wrong-issuer'
  | 'wrong-audience'
  | 'revoked';

/** The one error of this package for a token that is refused. Its message never holds any part of the token. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly reason: TokenFault;

  constructor(reason: TokenFault, detail?: string, options?: ErrorOptions) {
    super(detail === undefined ? `token refused: ${reason}` : `token refused: ${reason} (${detail})`, options);
    this.reason = reason;
  }
}

/** No verdict on a token: the public keys could not be had. The caller should try again, not log in again. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';

  constructor(options?: ErrorOptions) {
    super('the keys of access tokens cannot be had at the moment', options);
  }
}
