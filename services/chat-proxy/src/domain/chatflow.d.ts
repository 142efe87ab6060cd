import type { Storage } from './storage.ts';
import type { ChatflowConfig, ChatflowId } from './wire-types.ts';
/** What an AI server speaks: Flowise's predictions, or OpenAI's chat completions. */
export type UpstreamKind = 'flowise' | 'openai';
/** Which kinds of files a chatflow takes. */
export interface UploadRules {
    readonly images: boolean;
    readonly files: boolean;
    readonly audio: boolean;
}
/** A flow of Flowise, or a model behind an OpenAI-compatible server, as users of this platform see it. */
export interface Chatflow {
    readonly id: ChatflowId;
    /** The name of its AI server in the configuration. Prices match on it. */
    readonly upstream: string;
    readonly kind: UpstreamKind;
    /** The flow's id at its server, where that is not the chatflow's. */
    readonly flowId?: string;
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
    /** Web pages that may use it, as `scheme://host[:port]` in lower case; empty: every page. */
    readonly allowedOrigins: readonly string[];
    /** For all its users together; null: no limit of its own. */
    readonly requestsPerMinute: number | null;
    readonly parallelAnswers: number | null;
    readonly upstreamUploads: UploadRules;
    /** What an administrator has set instead, kind by kind. */
    readonly uploadsOverride: {
        readonly [Kind in keyof UploadRules]?: boolean | undefined;
    };
    /** What is kept of its conversations; for a caller the stricter of the chatflow's rule and the workspace's. */
    readonly storage: Storage;
    readonly createdAt: Date | null;
    readonly updatedAt: Date | null;
    readonly syncedAt: Date;
    readonly syncStatus: 'active' | 'deleted' | 'error';
    readonly syncError: string | null;
}
/** A flow of Flowise, which remembers by itself and takes files. */
export declare const isFlow: ({ kind }: Pick<Chatflow, 'kind'>) => boolean;
/** What it takes, in the end. */
export declare const uploadsOf: ({ upstreamUploads: found, uploadsOverride: set }: Chatflow) => UploadRules;
/** Whether a request may come from this page. One without an Origin header comes from no page. */
export declare const originAllowed: (chatflow: Pick<Chatflow, 'allowedOrigins'>, origin: string | undefined) => boolean;
export declare const isPublic: (chatflow: Chatflow) => boolean;
/** Names in `overrideConfig` that the chatflow does not allow; `vars` is judged variable by variable. */
export declare function refusedOverrides(chatflow: Chatflow, overrides: Readonly<Record<string, unknown>>): string[];
