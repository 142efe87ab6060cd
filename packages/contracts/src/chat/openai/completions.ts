import { z } from 'zod';
import { BEFORE_THE_FIRST_BYTE, CHAT_BODY_BYTES } from '../answers.ts';
import { Credits } from '../../credits.ts';
import { operation } from '../../operation.ts';
import { CompletionMessages } from './messages.ts';
import { ResponseFormat, ToolChoice, Tools } from './tools.ts';

/** A model's name, or the id of a chatflow. */
export const ModelName = z.string().trim().min(1).max(200);

const Tokens = z.int().min(1).max(1_000_000_000);
/** A word of a list that grows with each generation of models (`minimal`, `xhigh`). */
const Level = z.string().regex(/^[a-z]{1,16}$/);

/**
 * What a model is told beside the messages, and passed on to it. Prices know tokens, so that what upstreams charge otherwise
 * (search, audio out, dearer service tiers) is not here; an operator may allow it by name.
 */
export const COMPLETION_PARAMETERS = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string().max(1000), z.array(z.string().max(1000)).max(16)]).nullish(),
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/), z.number().min(-100).max(100)).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: Tools.nullish(),
  tool_choice: ToolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: ResponseFormat.nullish(),
  reasoning_effort: Level.nullish(),
  reasoning: z
    .strictObject({
      effort: Level.nullish(),
      max_tokens: Tokens.nullish(),
      exclude: z.boolean().nullish(),
      enabled: z.boolean().nullish(),
    })
    .nullish(),
  verbosity: Level.nullish(),
  prediction: z
    .strictObject({
      type: z.literal('content'),
      content: z.union([
        z.string().max(1_000_000),
        z.array(z.strictObject({ type: z.literal('text'), text: z.string().max(1_000_000) })).max(200),
      ]),
    })
    .nullish(),
  service_tier: z.enum(['auto', 'default']).nullish(),
  modalities: z.array(z.literal('text')).max(1).nullish(),
};

/** Checked and not passed on: labels for an account at the upstream, which all users share. */
const UNUSED = {
  user: z.string().max(512).nullish(),
  safety_identifier: z.string().max(512).nullish(),
  prompt_cache_key: z.string().max(512).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  /** Nothing is kept at the upstream. */
  store: z.literal(false).nullish(),
};

/** Loose, because an operator may allow further parameters by name; every other one is refused with `unsupported_parameter`. */
export const CompletionBody = z.looseObject({
  model: ModelName,
  messages: CompletionMessages,
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
  /** Answers to choose from; more than the operator's limit are not made. */
  n: z.int().min(1).max(128).nullish(),
  /** Lowers the operator's limit, never raises it. Of two names the smaller figure counts. */
  max_tokens: Tokens.nullish(),
  max_completion_tokens: Tokens.nullish(),
  ...COMPLETION_PARAMETERS,
  ...UNUSED,
});
export type CompletionBody = z.infer<typeof CompletionBody>;

const Count = z.int().min(0);

/** Tokens as OpenAI counts them, and what they cost. */
export const CompletionUsage = z.object({
  prompt_tokens: Count,
  completion_tokens: Count,
  total_tokens: Count,
  prompt_tokens_details: z.object({ cached_tokens: Count }),
  completion_tokens_details: z.object({ reasoning_tokens: Count }),
  credits: Credits,
  remaining_credits: Credits,
  /** Our own count, because the upstream gave none that can be believed. */
  estimated: z.boolean(),
  /** The balance allowed only a shorter answer than usual. */
  clamped_to: Count.optional(),
});
export type CompletionUsage = z.infer<typeof CompletionUsage>;

const ToolCall = z.object({
  id: z.string(),
  type: z.string(),
  function: z.object({ name: z.string(), arguments: z.string() }).optional(),
  custom: z.object({ name: z.string(), input: z.string() }).optional(),
  extra_content: z.unknown().optional(),
});

export const ChatCompletion = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: Count,
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.string().nullable(),
        reasoning_content: z.string().optional(),
        tool_calls: z.array(ToolCall).optional(),
        annotations: z.array(z.unknown()).optional(),
      }),
      logprobs: z
        .object({ content: z.array(z.unknown()).nullable(), refusal: z.array(z.unknown()).nullable() })
        .nullable(),
      finish_reason: z.string(),
    }),
  ),
  service_tier: z.string().optional(),
  usage: CompletionUsage,
});
export type ChatCompletion = z.infer<typeof ChatCompletion>;

export const createChatCompletion = operation({
  id: 'createChatCompletion',
  method: 'POST',
  path: '/v1/chat/completions',
  summary: 'Ask a model or a chatflow as OpenAI’s API does; with `stream` the answer comes as chunks',
  permission: 'chat:use',
  dialect: 'openai',
  body: CompletionBody,
  bodyLimit: CHAT_BODY_BYTES,
  idempotencyKey: 'optional',
  answers: true,
  result: ChatCompletion,
  alsoAs: ['text/event-stream'],
  errors: [
    'UNSUPPORTED_PARAMETER',
    'MODEL_NOT_FOUND',
    'CONTEXT_LENGTH_EXCEEDED',
    'UPSTREAM_REJECTED',
    ...BEFORE_THE_FIRST_BYTE,
  ],
});
