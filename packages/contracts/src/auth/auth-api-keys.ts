import { z } from 'zod';
import { ApiKeyId, KeyLimits, KeyScope } from '../api-keys.ts';
import { Message, Password, userParams } from './auth-fields.ts';
import { RoleName, Timestamp, UserId, WorkspaceRole } from '../ids.ts';
import { operation } from '../operation.ts';

const LONGEST_NAME = 100;
const LONGEST_OVERLAP_SECONDS = 7 * 86_400;
const MOST_SCOPES = 50;
const LONGEST_ID = 64;

const KeyName = z
  .string()
  .trim()
  .min(1)
  .max(LONGEST_NAME)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must be one line of well-formed text');

/** A key as its owner and administrators see it; the secret is in none of these fields. */
export const ApiKeyView = z.object({
  id: ApiKeyId,
  /** What the key begins with, to tell it by. */
  prefix: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  /** The workspace it acts in. */
  workspaceId: z.string(),
  status: z.enum(['active', 'disabled', 'expired']),
  limits: KeyLimits.nullable(),
  createdAt: Timestamp,
  expiresAt: Timestamp,
  /** To the minute. */
  lastUsedAt: Timestamp.nullable(),
  lastUsedIp: z.string().nullable(),
  /** Until when the secret before the last rotation works as well. */
  previousSecretUntil: Timestamp.nullable(),
});
export type ApiKeyView = z.infer<typeof ApiKeyView>;

const params = z.strictObject({ keyId: ApiKeyId });
/** The whole key: this answer is the only one that ever holds it. */
const ShownOnce = z.object({ apiKey: ApiKeyView, key: z.string() });

export const listApiKeys = operation({
  id: 'listApiKeys',
  method: 'GET',
  path: '/api/api-keys',
  summary: 'The API keys of the caller, oldest first (at most 50)',
  permission: 'api-keys:own',
  result: z.object({ apiKeys: z.array(ApiKeyView) }),
});

export const createApiKey = operation({
  id: 'createApiKey',
  method: 'POST',
  path: '/api/api-keys',
  summary: 'Make an API key for the present workspace, with scopes within the own rights; the key is shown this once',
  permission: 'api-keys:own',
  status: 201,
  body: z.strictObject({
    name: KeyName,
    scopes: z
      .array(KeyScope)
      .min(1)
      .max(MOST_SCOPES)
      .refine((scopes) => new Set(scopes).size === scopes.length, 'names a scope twice'),
    /** 90 days from now when absent. */
    expiresAt: Timestamp.optional(),
    limits: KeyLimits.optional(),
    currentPassword: Password,
  }),
  result: ShownOnce,
  errors: ['WRONG_PASSWORD', 'STEP_UP_REQUIRED', 'CONFLICT', 'FORBIDDEN', 'RATE_LIMITED'],
});

export const changeApiKey = operation({
  id: 'changeApiKey',
  method: 'PATCH',
  path: '/api/api-keys/:keyId',
  summary: 'Rename, disable or enable a key, or replace its limits as a whole (null: none)',
  permission: 'api-keys:own',
  params,
  body: z
    .strictObject({
      name: KeyName.optional(),
      disabled: z.boolean().optional(),
      limits: KeyLimits.nullable().optional(),
    })
    .refine((body) => Object.values(body).some((value) => value !== undefined), 'names nothing to change'),
  result: z.object({ apiKey: ApiKeyView }),
  errors: ['NOT_FOUND', 'CONFLICT', 'RATE_LIMITED'],
});

export const rotateApiKey = operation({
  id: 'rotateApiKey',
  method: 'POST',
  path: '/api/api-keys/:keyId/rotate',
  summary:
    'Give a key a new secret and its whole life again; the old secret works until the overlap ends, an older one not at all',
  permission: 'api-keys:own',
  params,
  body: z.strictObject({
    overlapSeconds: z.int().min(0).max(LONGEST_OVERLAP_SECONDS).default(0),
    currentPassword: Password,
  }),
  result: ShownOnce,
  errors: ['NOT_FOUND', 'WRONG_PASSWORD', 'STEP_UP_REQUIRED', 'CONFLICT', 'RATE_LIMITED'],
});

export const deleteApiKey = operation({
  id: 'deleteApiKey',
  method: 'DELETE',
  path: '/api/api-keys/:keyId',
  summary: 'End a key for ever, on all services within seconds',
  permission: 'api-keys:own',
  params,
  result: Message,
  errors: ['NOT_FOUND'],
});

export const listApiKeysOfUser = operation({
  id: 'listApiKeysOfUser',
  method: 'GET',
  path: '/api/admin/users/:userId/api-keys',
  summary: 'The API keys of a user',
  permission: 'api-keys:administer',
  params: userParams,
  result: z.object({ apiKeys: z.array(ApiKeyView) }),
});

export const disableApiKeyOfUser = operation({
  id: 'disableApiKeyOfUser',
  method: 'DELETE',
  path: '/api/admin/users/:userId/api-keys/:keyId',
  summary: 'Disable a key of a user; its owner cannot enable it again',
  permission: 'api-keys:administer',
  params: userParams.extend(params.shape),
  result: z.object({ apiKey: ApiKeyView }),
  errors: ['NOT_FOUND'],
});

/** What a good key stands for at this moment. */
export const VerifiedKey = z.object({
  keyId: ApiKeyId,
  user: z.object({ id: UserId, username: z.string(), email: z.string(), role: RoleName }),
  workspaceId: z.string().min(1).max(LONGEST_ID),
  workspaceRole: WorkspaceRole.optional(),
  /** Open: an older service must understand a key with a scope it does not know. */
  scopes: z.array(z.string().max(LONGEST_ID)),
  limits: KeyLimits.nullable(),
  /** When this very secret ends: earlier than its key while it is being rotated out. */
  expiresAt: Timestamp,
  /** By the clock of auth: what was revoked later is not in this answer. */
  verifiedAt: Timestamp,
  /** Of the account and of the membership. */
  version: z.int().min(0),
  memberVersion: z.int().min(0).optional(),
});
export type VerifiedKey = z.infer<typeof VerifiedKey>;

const LONGEST_KEY = 200;
const LONGEST_ADDRESS = 64;

export const verifyApiKey = operation({
  id: 'verifyApiKey',
  method: 'POST',
  path: '/api/internal/api-keys/verify',
  summary: 'Who a key belongs to and what it may do; every key that does not count gets the same 404',
  permission: 'internal:verify-keys',
  body: z.strictObject({
    key: z.string().max(LONGEST_KEY),
    /** Of the client that sent it. */
    ip: z.string().max(LONGEST_ADDRESS).optional(),
  }),
  result: VerifiedKey,
  errors: ['NOT_FOUND', 'RATE_LIMITED'],
});
