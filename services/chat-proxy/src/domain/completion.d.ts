/** A chat completion as a client of OpenAI's API asks for it: checked and bounded, but for the model, which is the chatflow. */
export interface Completion {
    readonly messages: readonly Readonly<Record<string, unknown>>[];
    /** Everything that goes to the model as it came: tools, `response_format`, sampling, reasoning. */
    readonly parameters: Readonly<Record<string, unknown>>;
    /** Answers to choose from (`n`), each of which may be as long as an answer may be. */
    readonly choices: number;
    /** Upper bound of the input: bytes of all texts and schemas, and what images and files may come to in tokens. */
    readonly inputBytes: number;
}
/** One chunk of a model's answer, stripped to what a client may see (OpenAI API, "Chat completion chunk object"). */
export interface ModelChunk {
    readonly choices: readonly ModelChoice[];
    readonly service_tier?: string;
}
export interface ModelChoice {
    readonly index: number;
    readonly delta: ModelDelta;
    readonly logprobs?: Readonly<Record<string, unknown>>;
    readonly finish_reason: string | null;
}
/** What one chunk adds to one answer. */
export interface ModelDelta {
    readonly role?: 'assistant';
    readonly content?: string;
    readonly refusal?: string;
    readonly reasoning_content?: string;
    readonly tool_calls?: readonly ToolCallDelta[];
    readonly annotations?: readonly unknown[];
}
/** The arguments come piece by piece, under the index of their call. */
export interface ToolCallDelta {
    readonly index: number;
    readonly id?: string;
    readonly type?: string;
    readonly function?: Readonly<{
        name?: string;
        arguments?: string;
    }>;
    readonly custom?: Readonly<{
        name?: string;
        input?: string;
    }>;
    readonly extra_content?: unknown;
}
