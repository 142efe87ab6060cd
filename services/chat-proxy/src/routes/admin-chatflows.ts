import { chat, type ServerInput } from '@tollgate/contracts';
import { type Route, serve } from '@tollgate/http-kit';
import { type Chatflow, isPublic, uploadsOf } from '../domain/chatflow.ts';
import type { Assignments } from '../flows/chatflows/assign-chatflow.ts';
import type { createReadChatflows } from '../flows/chatflows/read-chatflows.ts';
import type { ChatflowChanges } from '../ports.ts';
import type { createSyncChatflows } from '../flows/chatflows/sync-chatflows.ts';

export interface AdminChatflowFlows {
  readonly sync: ReturnType<typeof createSyncChatflows>;
  readonly read: ReturnType<typeof createReadChatflows>;
  readonly assignments: Assignments;
}

export const adminChatflowRoutes = ({ sync, read, assignments }: AdminChatflowFlows): Route[] => [
  serve(chat.syncChatflows).with(async ({ query }) => {
    const { fetched, created, updated, deleted, errors } = await sync({ allowMassDeletion: query.allow_mass_deletion });
    return { total_fetched: fetched, created, updated, deleted, errors: errors.length, error_details: [...errors] };
  }),
  serve(chat.listChatflowsAsAdmin).with(async ({ query }) => (await read.listAll(query.include_deleted)).map(viewOf)),
  serve(chat.readChatflowStats).with(async () => {
    const { total, active, deleted, error, lastSync } = await read.stats();
    return { total, active, deleted, error, last_sync: lastSync?.toISOString() ?? null };
  }),
  serve(chat.readChatflowAsAdmin).with(async ({ params }) => viewOf(await read.find(params.id))),
  serve(chat.configureChatflow).with(async ({ params, body }) => {
    return viewOf(await read.configure(params.id, changesOf(body)));
  }),
  ...assignmentRoutes(assignments),
];

const assignmentRoutes = (assignments: Assignments): Route[] => [
  serve(chat.listChatflowUsers).with(async ({ params }) =>
    (await assignments.list(params.id)).map(({ userId, username, email, assignedAt }) => ({
      username,
      email,
      external_user_id: userId,
      assigned_at: assignedAt.toISOString(),
    })),
  ),
  serve(chat.assignChatflow).with(({ params, body }, admin) => assignments.assign(admin, params.id, body.email)),
  serve(chat.unassignChatflow).with(({ params, query, body }) =>
    assignments.unassign(params.id, query.email ?? body.email),
  ),
  serve(chat.assignChatflowToMany).with(async ({ params, body }, admin) =>
    bulkView(await assignments.assignMany(admin, params.id, body.emails)),
  ),
  serve(chat.assignChatflowByEmail).with(async ({ body }, admin) =>
    bulkView(await assignments.assignMany(admin, body.chatflow_id, body.emails)),
  ),
  serve(chat.syncUserByEmail).with(async ({ body }, admin) => {
    const { id, username, email, role } = await assignments.refreshUser(admin, body.email);
    const user = { username, email, external_user_id: id, role };
    return { status: 'success' as const, message: 'The user is up to date', user_details: user };
  }),
];

const changesOf = (body: ServerInput<typeof chat.configureChatflow>['body']): ChatflowChanges => ({
  publicOverride: body.is_public,
  systemPrompt: body.system_prompt,
  allowedOverrides: body.allowed_overrides,
  maxOutputTokens: body.max_output_tokens,
  allowedOrigins: body.allowed_origins,
  requestsPerMinute: body.requests_per_minute,
  parallelAnswers: body.parallel_answers,
  uploadsOverride: body.uploads,
  keeps: body.store,
  retentionDays: body.retention_days,
});

const bulkView = ({ done, failed }: Awaited<ReturnType<Assignments['assignMany']>>) => ({
  successful_assignments: done,
  failed_assignments: failed,
});

const viewOf = (chatflow: Chatflow) => ({
  _id: chatflow.id,
  flowise_id: chatflow.id,
  name: chatflow.name,
  description: chatflow.description,
  deployed: chatflow.deployed,
  is_public: isPublic(chatflow),
  category: chatflow.category,
  type: chatflow.type,
  api_key_id: null,
  flow_data: null,
  chatbot_config: chatflow.config,
  api_config: null,
  analytic_config: null,
  speech_to_text_config: null,
  created_date: chatflow.createdAt?.toISOString() ?? null,
  updated_date: chatflow.updatedAt?.toISOString() ?? null,
  synced_at: chatflow.syncedAt.toISOString(),
  sync_status: chatflow.syncStatus,
  sync_error: chatflow.syncError,
  upstream: chatflow.upstream,
  kind: chatflow.kind,
  model: chatflow.model,
  system_prompt: chatflow.systemPrompt,
  allowed_overrides: [...chatflow.allowedOverrides],
  max_output_tokens: chatflow.maxOutputTokens,
  allowed_origins: [...chatflow.allowedOrigins],
  requests_per_minute: chatflow.requestsPerMinute,
  parallel_answers: chatflow.parallelAnswers,
  uploads: uploadsOf(chatflow),
  uploads_override: chatflow.uploadsOverride,
  store: chatflow.storage.keeps,
  retention_days: chatflow.storage.retentionDays,
});
