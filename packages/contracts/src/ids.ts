import { z } from 'zod';

/** A user: the 24 lower-case hex digits of a MongoDB ObjectId; the `sub` claim of every user token. */
export const UserId = z
  .string()
  .regex(/^[0-9a-f]{24}$/, 'must be 24 hex digits')
  .brand<'UserId'>();
export type UserId = z.infer<typeof UserId>;

/** An id made by one of our servers: a random UUID (RFC 9562), so that nobody guesses another one's. */
export const Uuid = z.uuid().toLowerCase();

export const HoldId = Uuid.brand<'HoldId'>();
export type HoldId = z.infer<typeof HoldId>;

export const SessionId = Uuid.brand<'SessionId'>();
export type SessionId = z.infer<typeof SessionId>;

/** A stored file of a user. */
export const FileId = Uuid.brand<'FileId'>();
export type FileId = z.infer<typeof FileId>;

/** The chatflow's id at its upstream: a UUID for Flowise, `model:<name>` for a model behind an OpenAI-compatible server. */
export const ChatflowId = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w:./@-]+$/, 'has characters that no chatflow id has')
  .brand<'ChatflowId'>();
export type ChatflowId = z.infer<typeof ChatflowId>;

/** A workspace: the `wid` claim of its members' tokens. */
export const WorkspaceId = z.string().regex(/^[0-9a-zA-Z-]{1,64}$/, 'must be 1 to 64 letters, digits or dashes');

export const ROLES = ['enduser', 'supervisor', 'admin'] as const;
export type Role = (typeof ROLES)[number];
/** Older clients say `user` for `enduser`; only `enduser` is stored. */
export const RoleInput = z
  .enum([...ROLES, 'user'])
  .transform((role): Role => (role === 'user' ? 'enduser' : role))
  .meta({ enum: [...ROLES, 'user'], type: 'string' });
export const RoleName = z.enum(ROLES);

/** What a member is within one workspace. An owner is an admin who cannot be removed before ownership was handed over. */
export const WORKSPACE_ROLES = ['owner', 'admin', 'supervisor', 'enduser'] as const;
export const WorkspaceRole = z.enum(WORKSPACE_ROLES);
export type WorkspaceRole = z.infer<typeof WorkspaceRole>;

export const SERVICE_NAMES = ['auth', 'chat-proxy', 'accounting'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** Idempotency-Key header: 1-255 printable ASCII characters (IETF httpapi idempotency-key-header draft, section 2). */
export const IdempotencyKey = z.string().regex(/^[\x20-\x7e]{1,255}$/, 'must be 1-255 printable ASCII characters');

export const Email = z
  .email()
  .max(254)
  .toLowerCase()
  .refine((address) => !/["()\r\n]/.test(address), 'must be one plain address');

/** A name has no `@`, so that it can never equal somebody's e-mail address. */
export const Username = z
  .string()
  .trim()
  .min(3)
  .max(64)
  .regex(/^[\p{L}\p{N}][\p{L}\p{N}._ -]*$/u, 'may hold letters, digits, dot, dash, underscore and space');

export const Timestamp = z.iso
  .datetime()
  // The calendar of the database begins with year 1.
  .refine((at) => at >= '0001', 'is before year 1')
  .meta({ description: 'RFC 3339, UTC' });
