import type { ChatflowConfig, ChatflowId } from './wire-types.ts';

export const UPSTREAMS = ['flowise', 'openai'] as const;
export type UpstreamName = (typeof UPSTREAMS)[number];

/** A flow of Flowise, or a model behind an OpenAI-compatible server, as users of this platform see it. */
export interface Chatflow {
  readonly id: ChatflowId;
  readonly upstream: UpstreamName;
  /** The model's name; for a flow of Flowise its kind (`CHATFLOW`, `AGENTFLOW`). Prices match on it. */
  readonly model: string;
  readonly name: string;
  readonly description: string | null;
  readonly category: string | null;
  readonly type: string;
  readonly deployed: boolean;
  /** As the upstream says. */
  readonly upstreamPublic: boolean;
  /** What an administrator has set instead. */
  readonly publicOverride: boolean | null;
  readonly config: ChatflowConfig | null;
  readonly systemPrompt: string | null;
  readonly allowedOverrides: readonly string[];
  readonly maxOutputTokens: number | null;
  readonly createdAt: Date | null;
  readonly updatedAt: Date | null;
  readonly syncedAt: Date;
  readonly syncStatus: 'active' | 'deleted' | 'error';
  readonly syncError: string | null;
}

/** A flow of Flowise, which remembers by itself and takes files. */
export const isFlow = (chatflow: Pick<Chatflow, 'upstream'>): boolean => chatflow.upstream === 'flowise';

export const isPublic = (chatflow: Chatflow): boolean => chatflow.publicOverride ?? chatflow.upstreamPublic;

/** Names in `overrideConfig` that the chatflow does not allow; `vars` is judged variable by variable. */
export function refusedOverrides(chatflow: Chatflow, overrides: Readonly<Record<string, unknown>>): string[] {
  const allowed = new Set(chatflow.allowedOverrides);
  return Object.entries(overrides).flatMap(([name, value]) => {
    if (name !== 'vars' || allowed.has('vars')) return allowed.has(name) ? [] : [name];
    const names = typeof value === 'object' && value !== null ? Object.keys(value) : [''];
    return names.map((variable) => `vars.${variable}`).filter((variable) => !allowed.has(variable));
  });
}
