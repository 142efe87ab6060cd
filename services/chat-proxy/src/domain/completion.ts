/** A chat completion as a client of OpenAI's API asks for it: checked and bounded, but for the model, which is the chatflow. */
export interface Completion {
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  /** Everything that goes to the model as it came: tools, `n`, `response_format`, sampling, reasoning. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** One chunk of a model's answer, stripped to what a client may see (OpenAI API, "Chat completion chunk object"). */
export interface ModelChunk {
  readonly choices: readonly Readonly<Record<string, unknown>>[];
  readonly [field: string]: unknown;
}
