import type { Role, ServiceName, UserId, WorkspaceRole } from '@tollgate/contracts';

/** A person, proven by an access token that this service verified itself. */
export interface UserCaller {
  readonly kind: 'user';
  readonly userId: UserId;
  readonly username: string;
  readonly email: string;
  readonly role: Role;
  readonly workspaceId?: string;
  /** What the user is in that workspace. */
  readonly workspaceRole?: WorkspaceRole;
  /** Versions of the account and of the membership that the token was issued for. */
  readonly version?: number;
  readonly memberVersion?: number;
  readonly sessionId?: string;
  readonly tokenId?: string;
  /** Present when an API key proved the user: then the scopes bound what the role allows. */
  readonly apiKey?: { readonly id: string; readonly scopes: readonly string[] };
  /** The bearer token or API key itself, for calls to neighbours on behalf of this user. Never log it. */
  readonly token: string;
  /** Milliseconds since the epoch; for a key, when auth last said so. */
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** One of our services. `user` is present when X-On-Behalf-Of carried the user's own bearer token, else only the id is known. */
export interface ServiceCaller {
  readonly kind: 'service';
  readonly service: ServiceName;
  readonly onBehalfOf?: { readonly userId: UserId; readonly user?: UserCaller };
}

export type Caller = UserCaller | ServiceCaller;

/** Header names are lower case, as Node gives them. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Who is calling; undefined when no credential was sent. Throws UNAUTHENTICATED or INVALID_TOKEN for a bad one. */
export type Authenticate = (request: {
  readonly method: string;
  readonly headers: Headers;
  readonly ip?: string | undefined;
}) => Promise<Caller | undefined>;
