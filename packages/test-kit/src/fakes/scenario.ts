import { z } from 'zod';

const Milliseconds = z.int().min(0).max(600_000);
const TokenCount = z.int().min(0).max(1_000_000);
const ByteCount = z
  .int()
  .min(1)
  .max(256 * 1024 * 1024);
const Text = z.string().max(1_000_000);

/** Bytes that a scenario puts on the wire as they are. */
const Bytes = z.union([z.strictObject({ text: Text }), z.strictObject({ base64: z.base64().max(1_500_000) })]);

/** What the upstream claims about usage, whatever it really produced. */
const Usage = z.union([
  z.enum([
    'exact', // the true numbers
    'absent', // no usage at all
    'null', // usage: null where the numbers belong
    'zero', // explicit zeros
    'late', // OpenAI: after [DONE]; Flowise: after the metadata
    'with-choices', // OpenAI: in the finishing chunk, whose choices are not empty
    'running', // twice: a running total first, the final one second
    'negative',
    'string', // numbers written as strings
    'overflow', // 1e309, which JSON.parse turns into Infinity
  ]),
  z.strictObject({
    input: z.number(),
    output: z.number(),
    cached: z.number().optional(),
    reasoning: z.number().optional(),
    total: z.number().optional(),
  }),
]);

/** Something that does not belong into an answer, put between token `after` and the next one. */
const Intrusion = z.union([
  z.strictObject({ after: TokenCount, kind: z.enum(['broken-json', 'html', 'binary', 'unknown-event']) }),
  z.strictObject({ after: TokenCount, kind: z.literal('huge-line'), bytes: ByteCount }),
  z.strictObject({ after: TokenCount, kind: z.literal('raw'), content: Bytes }),
]);

/**
 * The script of one answer of a fake upstream; `{}` is a plain, immediate, correct answer with exact usage.
 * Times are milliseconds, positions count tokens that were already sent (0 = before the first one).
 */
export const Scenario = z.strictObject({
  /** The answer: a number makes that many numbered tokens, a list gives them literally, a text is cut into words. */
  tokens: z.union([TokenCount, z.array(z.string().max(100_000)).max(100_000)]).optional(),
  text: Text.optional(),
  /** Flowise: the answer is produced and stored, but no token event carries it. */
  withholdTokens: z.boolean().optional(),
  /** OpenAI: what the model thinks before it answers, like `tokens`; part of the output. */
  reasoning: z.union([TokenCount, z.array(z.string().max(100_000)).max(100_000)]).optional(),
  /** OpenAI: answers in one piece although a stream was asked for. */
  unstreamed: z.boolean().optional(),
  /** OpenAI: goes on past the caller's max_tokens. */
  ignoreMaxTokens: z.boolean().optional(),
  /** The model first calls a tool; the agent flow of Flowise runs it and answers, OpenAI returns the call. */
  toolCall: z
    .strictObject({
      name: z.string().min(1).max(64),
      arguments: z.record(z.string(), z.json()).default({}),
      result: Text.default('done'),
    })
    .optional(),
  usage: Usage.optional(),

  /** Silence before the status line. */
  firstByteDelayMs: Milliseconds.optional(),
  /** Silence between the headers and the first token. */
  firstTokenDelayMs: Milliseconds.optional(),
  /** Silence after each token. */
  tokenDelayMs: Milliseconds.optional(),
  /** Silence between the last token and what ends the stream. */
  endDelayMs: Milliseconds.optional(),
  /** While it is silent or hangs after the headers, send a keep-alive comment this often. */
  heartbeatMs: z.int().min(1).max(600_000).optional(),

  /** How the lines of an event stream end; real servers send line feeds. */
  lineEnd: z.enum(['lf', 'crlf', 'cr']).optional(),
  /** Cut the body at these byte offsets, so that each piece arrives as a read of its own. */
  sliceAt: z.array(z.int().min(1)).max(10_000).optional(),
  /** Cut the body into pieces of this many bytes. */
  sliceBytes: ByteCount.optional(),
  /** Silence between two such pieces. */
  sliceDelayMs: Milliseconds.optional(),

  /** Accept the request and never answer. */
  hang: z.boolean().optional(),
  /** Go silent after this many tokens, with the connection open. */
  hangAfter: TokenCount.optional(),
  /** Send a TCP reset after this many tokens. */
  resetAfter: TokenCount.optional(),
  /** Close the connection after this many tokens, orderly for TCP but in the middle of the HTTP body. */
  cutAfter: TokenCount.optional(),
  /** Leave out the named parts of a correct ending. */
  omit: z
    .array(z.enum(['finish', 'done', 'metadata', 'end']))
    .max(4)
    .optional(),

  /** Answer with this status instead; `times` limits it to the first calls with the same text. */
  error: z
    .strictObject({
      status: z.int().min(300).max(599),
      message: z.string().max(10_000).optional(),
      /** A string goes out as text/html, anything else as JSON; absent means the upstream's usual error shape. */
      body: z.json().optional(),
      retryAfterSeconds: z.int().min(0).max(86_400).optional(),
      times: z.int().min(1).max(1_000).optional(),
    })
    .optional(),
  /** Answer 200 and report a failure inside the stream after this many tokens. */
  errorEvent: z.strictObject({ after: TokenCount.default(0), message: z.string().max(10_000).optional() }).optional(),
  intrusion: Intrusion.optional(),
  /** Answer 200 text/html with a page, as a misrouted request gets. */
  html: z.boolean().optional(),
  /** Replace the whole HTTP response, status line included, by these bytes, then close. */
  raw: Bytes.optional(),
  /** Response headers to add or to replace. */
  headers: z.record(z.string().regex(/^[\w-]{1,64}$/), z.string().max(8_192)).optional(),
});

export type Scenario = z.input<typeof Scenario>;
/** A scenario with its inner defaults filled in. */
export type CheckedScenario = z.output<typeof Scenario>;

/** A directive could not be understood; the fakes answer with this text, so that the test that wrote it sees why. */
export class ScenarioError extends Error {
  override name = 'ScenarioError';
}

const OPENING = '{{scenario:';
const CLOSING = '}}';

/**
 * Takes the directives `{{scenario:{…}}}` out of a message. Later directives are laid over earlier ones.
 * Returns the message without them (`undefined` as scenario if there were none); throws ScenarioError on a broken one.
 */
export function readDirectives(message: string): { text: string; scenario: CheckedScenario | undefined } {
  let text = message;
  let merged: object | undefined;
  for (let start = text.indexOf(OPENING); start >= 0; start = text.indexOf(OPENING)) {
    const json = readObject(text, start + OPENING.length);
    const end = start + OPENING.length + json.length;
    if (!text.startsWith(CLOSING, end)) throw new ScenarioError(`a scenario directive must end with ${CLOSING}`);
    merged = { ...merged, ...parseObject(json) };
    text = `${text.slice(0, start).trimEnd()} ${text.slice(end + CLOSING.length).trimStart()}`.trim();
  }
  return { text, scenario: merged && checkScenario(merged) };
}

/** Validates a scenario from outside. Throws ScenarioError that names the wrong field. */
export function checkScenario(scenario: unknown): CheckedScenario {
  const result = Scenario.safeParse(scenario);
  if (!result.success) throw new ScenarioError(z.prettifyError(result.error));
  return result.data;
}

/** The directive for a message, the counterpart of `readDirectives`. */
export function directive(scenario: Scenario): string {
  return `${OPENING}${JSON.stringify(checkScenario(scenario))}${CLOSING}`;
}

/** The bytes that a scenario spells as text or base64. */
export function bytesOf(bytes: z.output<typeof Bytes>): Buffer {
  return 'text' in bytes ? Buffer.from(bytes.text) : Buffer.from(bytes.base64, 'base64');
}

/** The JSON object that starts at `from`, braces inside strings not counted. */
function readObject(text: string, from: number): string {
  let depth = 0;
  let isInString = false;
  for (let i = from; i < text.length; i += 1) {
    const char = text[i];
    if (isInString) {
      if (char === '\\') i += 1;
      else if (char === '"') isInString = false;
    } else if (char === '"') isInString = true;
    else if (char === '{') depth += 1;
    else if (char === '}') depth -= 1;
    if (depth === 0) return text.slice(from, i + 1);
  }
  throw new ScenarioError('a scenario directive must hold one complete JSON object');
}

function parseObject(json: string): object {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    throw new ScenarioError(`a scenario directive must hold JSON: ${String(error)}`);
  }
  throw new ScenarioError('a scenario directive must hold a JSON object');
}
