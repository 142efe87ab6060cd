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

type Proven = Readonly<{ sub: string; wid?: string | undefined }>;

/** The one error of this package for a token that is refused. Its message never holds any part of the token. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
  readonly reason: TokenFault;
  /** Whose token it is, when all but its revocation was right: then it proves who was refused. */
  readonly proven: Proven | undefined;

  constructor(reason: TokenFault, detail?: string, { proven, ...options }: ErrorOptions & { proven?: Proven } = {}) {
    super(detail === undefined ? `token refused: ${reason}` : `token refused: ${reason} (${detail})`, options);
    this.reason = reason;
    this.proven = proven;
  }
}

/** No verdict on a token: the public keys could not be had. The caller should try again, not log in again. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';

  constructor(options?: ErrorOptions) {
    super('the keys of access tokens cannot be had at the moment', options);
  }
}
