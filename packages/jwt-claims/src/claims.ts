import { RoleInput, SERVICE_NAMES, UserId, WorkspaceRole } from '@tollgate/contracts';
import { z } from 'zod';
import { TokenError } from './errors.ts';

/** The last second of the year 9999: a larger number is milliseconds by mistake, or an attack. */
const LATEST_SECOND = 253_402_300_799;
const LONGEST_NAME = 254;
const LONGEST_ID = 128;
const MOST_AUDIENCES = 16;

/** RFC 7519 §2 NumericDate: whole seconds since 1970, not milliseconds. */
const NumericDate = z.int().min(0).max(LATEST_SECOND);
const Id = z.string().regex(new RegExp(`^[\\x21-\\x7e]{1,${LONGEST_ID}}$`));
const Name = z.string().min(1).max(LONGEST_NAME);
/** RFC 7519 §4.1.3: one string or an array of strings. */
const Audience = z.union([Name, z.array(Name).min(1).max(MOST_AUDIENCES)]);

const Version = z.int().min(0);

const times = { iat: NumericDate, exp: NumericDate, nbf: NumericDate.optional() };

/** What a user may do for some minutes. The profile `compatible` takes this shape as it is; `sub` is the only key to the user. */
export const AccessClaims = z.object({
  ...times,
  type: z.literal('access'),
  sub: UserId,
  role: RoleInput,
  username: Name.optional(),
  email: Name.optional(),
  jti: Id.optional(),
  /** The session family, so that ending a session ends its access tokens. */
  sid: Id.optional(),
  /** The workspace the user works in. */
  wid: Id.optional(),
  /** What the user is in that workspace; `role` is what they are in the whole installation. */
  wrole: WorkspaceRole.optional(),
  /** The version of the account at the time of issue: a revocation names the oldest version that still counts. */
  ver: Version.optional(),
  /** The version of the membership in `wid`, likewise. */
  mver: Version.optional(),
  iss: Name.optional(),
  aud: Audience.optional(),
});
export type AccessClaims = Readonly<z.output<typeof AccessClaims>>;

/** The profile `strict`: a token is also bound to its issuer and audience and can be named on its own. */
export const StrictAccessClaims = AccessClaims.required({ jti: true, iss: true, aud: true });

/** Buys the next pair of tokens, once. Only the auth service reads it. */
export const RefreshClaims = z.object({
  ...times,
  type: z.literal('refresh'),
  sub: UserId,
  jti: Id,
  sid: Id,
  iss: Name,
  aud: Audience,
});
export type RefreshClaims = Readonly<z.output<typeof RefreshClaims>>;

/** One service calling another; lives at most {@link SERVICE_TOKEN_SECONDS}. */
export const ServiceClaims = z.object({
  ...times,
  type: z.literal('service'),
  sub: z.enum(SERVICE_NAMES),
  aud: z.enum(SERVICE_NAMES),
  jti: Id,
});
export type ServiceClaims = Readonly<z.output<typeof ServiceClaims>>;

/** Longest life of a service token, in seconds: a stolen one is worthless after a minute. */
export const SERVICE_TOKEN_SECONDS = 60;

/** `compatible` also accepts user tokens without `jti`, `iss` and `aud`; what such a token does carry must still fit. */
export type ClaimsProfile = 'strict' | 'compatible';

/** Every claim that the time, issuer and audience checks look at. */
export type CommonClaims = Readonly<{
  type: string;
  iat: number;
  exp: number;
  nbf?: number | undefined;
  iss?: string | undefined;
  aud?: string | readonly string[] | undefined;
}>;

/** One kind of token: the `type` it must carry, and the claims that come with it. A new kind is a new value of this shape. */
export type TokenKind<Claims extends CommonClaims> = Readonly<{
  type: Claims['type'];
  schema: z.ZodType<Claims>;
}>;

/**
 * Reads the claims of one kind out of a decoded payload; unknown claims are dropped (RFC 7519 §4).
 * @throws TokenError `wrong-type` for a token of another kind, `bad-claims` for a missing or impossible claim.
 */
export function readClaims<Claims extends CommonClaims>(kind: TokenKind<Claims>, payload: object): Claims {
  const type: unknown = 'type' in payload ? payload.type : undefined;
  // The kind is asked first: a refresh token is no "access token with faults" (RFC 8725 §2.8, token confusion).
  if (typeof type === 'string' && type !== kind.type) throw new TokenError('wrong-type', `expected ${kind.type}`);
  const parsed = kind.schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  const names = new Set(parsed.error.issues.map((issue) => String(issue.path[0] ?? 'payload')));
  throw new TokenError('bad-claims', [...names].join(', '));
}
