import type { Chatflow, UpstreamKind } from '../domain/chatflow.ts';
import type { ChatflowConfig, ChatflowId } from '../domain/wire-types.ts';
import type { ChatflowChanges, FoundChatflow } from '../ports.ts';

export interface ChatflowRow {
  readonly _id: ChatflowId;
  readonly upstream: string;
  /** Absent in rows from before servers had names: those were named by their kind. */
  readonly kind?: UpstreamKind;
  readonly model: string;
  readonly name: string;
  readonly description: string | null;
  readonly category: string | null;
  readonly type: string;
  readonly deployed: boolean;
  readonly upstream_public: boolean;
  readonly public_override: boolean | null;
  readonly config: ChatflowConfig | null;
  readonly system_prompt: string | null;
  readonly allowed_overrides: string[];
  readonly max_output_tokens: number | null;
  readonly created_date: Date | null;
  readonly updated_date: Date | null;
  readonly synced_at: Date;
  readonly sync_status: Chatflow['syncStatus'];
  readonly sync_error: string | null;
}

/** What an administrator sets, before anybody has. */
export const FIRST_SETTINGS = {
  public_override: null,
  system_prompt: null,
  allowed_overrides: [],
  max_output_tokens: null,
};

/** What a synchronisation writes. */
export const columnsOf = (found: FoundChatflow) => ({
  upstream: found.upstream,
  kind: found.kind,
  model: found.model,
  name: found.name,
  description: found.description,
  category: found.category,
  type: found.type,
  deployed: found.deployed,
  upstream_public: found.isPublic,
  config: found.config,
  created_date: found.createdAt,
  updated_date: found.updatedAt,
});

export const chatflowOf = (row: ChatflowRow): Chatflow => ({
  id: row._id,
  upstream: row.upstream,
  kind: row.kind ?? (row.upstream === 'openai' ? 'openai' : 'flowise'),
  model: row.model,
  name: row.name,
  description: row.description,
  category: row.category,
  type: row.type,
  deployed: row.deployed,
  upstreamPublic: row.upstream_public,
  publicOverride: row.public_override,
  config: row.config,
  systemPrompt: row.system_prompt,
  allowedOverrides: row.allowed_overrides,
  maxOutputTokens: row.max_output_tokens,
  createdAt: row.created_date,
  updatedAt: row.updated_date,
  syncedAt: row.synced_at,
  syncStatus: row.sync_status,
  syncError: row.sync_error,
});

/** The same columns of a row that is there. */
export function foundColumnsOf(row: ChatflowRow) {
  const chatflow = chatflowOf(row);
  return columnsOf({ ...chatflow, isPublic: chatflow.upstreamPublic });
}

export const columnsOfChanges = (changes: ChatflowChanges) => ({
  ...(changes.publicOverride !== undefined && { public_override: changes.publicOverride }),
  ...(changes.systemPrompt !== undefined && { system_prompt: changes.systemPrompt }),
  ...(changes.allowedOverrides !== undefined && { allowed_overrides: [...changes.allowedOverrides] }),
  ...(changes.maxOutputTokens !== undefined && { max_output_tokens: changes.maxOutputTokens }),
});
