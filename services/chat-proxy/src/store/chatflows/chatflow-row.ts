import { type Chatflow, isFlow, type UploadRules, type UpstreamKind } from '../../domain/chatflow.ts';
import { KEEPS_ALL, type Storage } from '../../domain/storage.ts';
import type { ChatflowConfig, ChatflowId } from '../../domain/wire-types.ts';
import type { ChatflowChanges, FoundChatflow } from '../../ports.ts';

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
  readonly allowed_overrides: readonly string[];
  readonly max_output_tokens: number | null;
  // Absent in rows from before there were these settings.
  readonly allowed_origins?: readonly string[];
  readonly requests_per_minute?: number | null;
  readonly parallel_answers?: number | null;
  readonly upstream_uploads?: UploadRules;
  readonly uploads_override?: Chatflow['uploadsOverride'];
  readonly store?: Storage['keeps'];
  readonly retention_days?: number | null;
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
  allowed_origins: [],
  requests_per_minute: null,
  parallel_answers: null,
  uploads_override: {},
  store: KEEPS_ALL.keeps,
  retention_days: KEEPS_ALL.retentionDays,
};

/** Of a row that no synchronisation has looked at since there were these rules: what was so before. */
const FIRST_UPLOADS = { images: true, files: true, audio: true };
const OF_MODELS = { images: true, files: false, audio: false };

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
  upstream_uploads: found.uploads,
  created_date: found.createdAt,
  updated_date: found.updatedAt,
});

export const chatflowOf = (row: ChatflowRow): Chatflow => ({
  id: row._id,
  upstream: row.upstream,
  kind: kindOf(row),
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
  allowedOrigins: row.allowed_origins ?? [],
  requestsPerMinute: row.requests_per_minute ?? null,
  parallelAnswers: row.parallel_answers ?? null,
  upstreamUploads: row.upstream_uploads ?? (isFlow({ kind: kindOf(row) }) ? FIRST_UPLOADS : OF_MODELS),
  uploadsOverride: row.uploads_override ?? {},
  storage: { keeps: row.store ?? KEEPS_ALL.keeps, retentionDays: row.retention_days ?? KEEPS_ALL.retentionDays },
  createdAt: row.created_date,
  updatedAt: row.updated_date,
  syncedAt: row.synced_at,
  syncStatus: row.sync_status,
  syncError: row.sync_error,
});

const kindOf = ({ kind, upstream }: Pick<ChatflowRow, 'kind' | 'upstream'>): UpstreamKind =>
  kind ?? (upstream === 'openai' ? 'openai' : 'flowise');

/** The same columns of a row that is there. */
export function foundColumnsOf(row: ChatflowRow) {
  const chatflow = chatflowOf(row);
  return columnsOf({ ...chatflow, isPublic: chatflow.upstreamPublic, uploads: chatflow.upstreamUploads });
}

export const columnsOfChanges = (changes: ChatflowChanges): Partial<ChatflowRow> =>
  withoutUndefined({
    public_override: changes.publicOverride,
    system_prompt: changes.systemPrompt,
    allowed_overrides: changes.allowedOverrides,
    max_output_tokens: changes.maxOutputTokens,
    allowed_origins: changes.allowedOrigins,
    requests_per_minute: changes.requestsPerMinute,
    parallel_answers: changes.parallelAnswers,
    uploads_override: changes.uploadsOverride && withoutUndefined(changes.uploadsOverride),
    store: changes.keeps,
    retention_days: changes.retentionDays,
  });

type Defined<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

const withoutUndefined = <T extends object>(fields: T): Defined<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
