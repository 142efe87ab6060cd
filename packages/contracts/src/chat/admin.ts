import { z } from 'zod';
import { ChatflowConfig, chatflowParams, UploadRules } from './chatflows.ts';
import { ChatflowId, Email, Timestamp } from '../ids.ts';
import { operation } from '../operation.ts';
import { trimmedTextOf } from '../text.ts';

const MOST_EMAILS = 100;

export const syncChatflows = operation({
  id: 'syncChatflows',
  method: 'POST',
  path: '/api/v1/admin/chatflows/sync',
  summary: 'Bring the list of chatflows up to date with the upstreams',
  permission: 'chatflows:administer',
  query: z.strictObject({
    /** Lets a synchronisation through that would delete more than the configured share. */
    allow_mass_deletion: z.stringbool().default(false),
  }),
  result: z.object({
    total_fetched: z.int(),
    created: z.int(),
    updated: z.int(),
    deleted: z.int(),
    errors: z.int(),
    error_details: z.array(z.string()),
  }),
  errors: ['SYNC_REFUSED', 'UPSTREAM_FAILED', 'UPSTREAM_UNAVAILABLE', 'UPSTREAM_PROTOCOL_ERROR', 'UPSTREAM_TIMEOUT'],
});

/** What is kept of conversations; of chatflow and workspace the stricter rule counts. */
export const Storage = z.object({
  /** `nothing`: answers are given, and neither question nor answer is kept, whatever the client asks for. */
  store: z.enum(['all', 'nothing']),
  /** Days after its last message at which a conversation is deleted, here and at the upstream; null: never. */
  retention_days: z.int().min(1).max(3650).nullable(),
});

const MOST_ORIGINS = 50;
/** A web page's origin (RFC 6454), such as `https://chat.example.org`; a path is refused. */
const PageOrigin = z
  .string()
  .max(300)
  .toLowerCase()
  .regex(/^https?:\/\/[a-z0-9.-]+(:\d{1,5})?$/, 'must be scheme, host and port, without a path');

/** The nested documents of Flowise are never kept, so the fields for them are always null. */
export const AdminChatflow = z.object({
  _id: z.string(),
  flowise_id: ChatflowId,
  name: z.string(),
  description: z.string().nullable(),
  deployed: z.boolean(),
  is_public: z.boolean(),
  category: z.string().nullable(),
  type: z.string(),
  api_key_id: z.null(),
  flow_data: z.null(),
  chatbot_config: ChatflowConfig.nullable(),
  api_config: z.null(),
  analytic_config: z.null(),
  speech_to_text_config: z.null(),
  created_date: Timestamp.nullable(),
  updated_date: Timestamp.nullable(),
  synced_at: Timestamp,
  sync_status: z.enum(['active', 'deleted', 'error']),
  sync_error: z.string().nullable(),
  /** The configured name of the AI server. */
  upstream: z.string(),
  kind: z.enum(['flowise', 'openai']),
  model: z.string(),
  system_prompt: z.string().nullable(),
  allowed_overrides: z.array(z.string()),
  max_output_tokens: z.int().nullable(),
  allowed_origins: z.array(z.string()),
  requests_per_minute: z.int().nullable(),
  parallel_answers: z.int().nullable(),
  /** As the upstream says, and what was set instead. */
  uploads: UploadRules,
  uploads_override: UploadRules.partial(),
  ...Storage.shape,
});

export const listChatflowsAsAdmin = operation({
  id: 'listChatflowsAsAdmin',
  method: 'GET',
  path: '/api/v1/admin/chatflows',
  summary: 'All chatflows, by name',
  permission: 'chatflows:administer',
  query: z.strictObject({ include_deleted: z.stringbool().default(false) }),
  result: z.array(AdminChatflow),
});

export const readChatflowStats = operation({
  id: 'readChatflowStats',
  method: 'GET',
  path: '/api/v1/admin/chatflows/stats',
  summary: 'How many chatflows there are and when they were last synchronised',
  permission: 'chatflows:administer',
  result: z.object({
    total: z.int(),
    active: z.int(),
    deleted: z.int(),
    error: z.int(),
    last_sync: Timestamp.nullable(),
  }),
});

export const readChatflowAsAdmin = operation({
  id: 'readChatflowAsAdmin',
  method: 'GET',
  path: '/api/v1/admin/chatflows/:id',
  summary: 'One chatflow',
  permission: 'chatflows:administer',
  params: chatflowParams,
  result: AdminChatflow,
  errors: ['NOT_FOUND'],
});

export const configureChatflow = operation({
  id: 'configureChatflow',
  method: 'PATCH',
  path: '/api/v1/admin/chatflows/:id',
  summary: 'Set what this platform adds to a chatflow; null returns a setting to its default',
  permission: 'chatflows:administer',
  params: chatflowParams,
  body: z.strictObject({
    /** null: as the upstream says. */
    is_public: z.boolean().nullable().optional(),
    /** For models: stands before every conversation. */
    system_prompt: trimmedTextOf({ max: 20_000 }).nullable().optional(),
    /** Names in `overrideConfig` that users may set; `vars.<name>` for a single variable. */
    allowed_overrides: z
      .array(
        z
          .string()
          .regex(/^[A-Za-z][\w.-]{0,99}$/)
          .refine((name) => name !== 'sessionId' && name !== 'chatId', 'is always set by the platform'),
      )
      .max(50)
      .optional(),
    max_output_tokens: z.int().min(1).max(1_000_000).nullable().optional(),
    /** Pages that may use the chatflow; empty: every page that the platform allows. */
    allowed_origins: z.array(PageOrigin).max(MOST_ORIGINS).optional(),
    /** Of all users together; null: no limit of its own. */
    requests_per_minute: z.int().min(1).max(100_000).nullable().optional(),
    parallel_answers: z.int().min(1).max(10_000).nullable().optional(),
    /** Replaces what was set before; a kind that is left out is as the upstream says. */
    uploads: z
      .strictObject({ images: z.boolean().optional(), files: z.boolean().optional(), audio: z.boolean().optional() })
      .optional(),
    ...Storage.partial().shape,
  }),
  result: AdminChatflow,
  errors: ['NOT_FOUND'],
});

export const listChatflowUsers = operation({
  id: 'listChatflowUsers',
  method: 'GET',
  path: '/api/v1/admin/chatflows/:id/users',
  summary: 'Who may use a chatflow',
  permission: 'chatflows:administer',
  params: chatflowParams,
  result: z.array(
    z.object({ username: z.string(), email: z.string(), external_user_id: z.string(), assigned_at: Timestamp }),
  ),
  errors: ['NOT_FOUND'],
});

const Assignment = z.object({
  email: z.string(),
  status: z.enum(['Assigned', 'Reactivated', 'No Action', 'Deactivated', 'Failed']),
  message: z.string(),
});

export const assignChatflow = operation({
  id: 'assignChatflow',
  method: 'POST',
  path: '/api/v1/admin/chatflows/:id/users',
  summary: 'Let a user use a chatflow',
  permission: 'chatflows:administer',
  params: chatflowParams,
  body: z.strictObject({ email: Email }),
  result: Assignment,
  errors: ['NOT_FOUND', 'DEPENDENCY_UNAVAILABLE'],
});

export const unassignChatflow = operation({
  id: 'unassignChatflow',
  method: 'DELETE',
  path: '/api/v1/admin/chatflows/:id/users',
  summary: 'Take a chatflow away from a user; the address stands in the query or in the body',
  permission: 'chatflows:administer',
  params: chatflowParams,
  query: z.strictObject({ email: Email.optional() }),
  body: z.strictObject({ email: Email.optional() }).prefault({}),
  result: Assignment,
  errors: ['NOT_FOUND', 'DEPENDENCY_UNAVAILABLE'],
});

/** Each address is judged on its own, so that one bad line does not refuse the others. */
const Emails = z.array(z.string().trim().min(1).max(254)).min(1).max(MOST_EMAILS);
const BulkAssignment = z.object({
  successful_assignments: z.array(Assignment),
  failed_assignments: z.array(Assignment.extend({ reason: z.string() })),
});

export const assignChatflowToMany = operation({
  id: 'assignChatflowToMany',
  method: 'POST',
  path: '/api/v1/admin/chatflows/:id/users/bulk-add',
  summary: 'Let up to 100 users use a chatflow',
  permission: 'chatflows:administer',
  params: chatflowParams,
  body: z.strictObject({ emails: Emails }),
  result: BulkAssignment,
  errors: ['NOT_FOUND', 'DEPENDENCY_UNAVAILABLE'],
});

export const assignChatflowByEmail = operation({
  id: 'assignChatflowByEmail',
  method: 'POST',
  path: '/api/v1/admin/chatflows/add-users-by-email',
  summary: 'The same, with the chatflow named in the body',
  permission: 'chatflows:administer',
  body: z.strictObject({ chatflow_id: ChatflowId, emails: Emails }),
  result: BulkAssignment,
  errors: ['NOT_FOUND', 'DEPENDENCY_UNAVAILABLE'],
});

export const syncUserByEmail = operation({
  id: 'syncUserByEmail',
  method: 'POST',
  path: '/api/v1/admin/users/sync-by-email',
  summary: 'Take over name and address of a user from the auth service into the assignments',
  permission: 'chatflows:administer',
  body: z.strictObject({ email: Email }),
  result: z.object({
    status: z.literal('success'),
    message: z.string(),
    user_details: z.object({ username: z.string(), email: z.string(), external_user_id: z.string(), role: z.string() }),
  }),
  errors: ['NOT_FOUND', 'DEPENDENCY_UNAVAILABLE'],
});
