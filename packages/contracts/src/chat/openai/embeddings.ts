import { z } from 'zod';
import { BEFORE_THE_FIRST_BYTE } from '../answers.ts';
import { Credits } from '../../credits.ts';
import { operation } from '../../operation.ts';
import { ModelName } from './completions.ts';

const MOST_INPUTS = 2048;
const LONGEST_TEXT = 1_000_000;
const MOST_TOKENS = 100_000;
const EMBEDDING_BODY_BYTES = 4 * 1024 * 1024;

const Text = z.string().min(1).max(LONGEST_TEXT);
const TokenIds = z.array(z.int().min(0).max(10_000_000)).min(1).max(MOST_TOKENS);

/** Loose as for completions: a parameter that nobody has allowed is refused by name. */
export const EmbeddingBody = z.looseObject({
  model: ModelName,
  input: z.union([Text, TokenIds, z.array(Text).min(1).max(MOST_INPUTS), z.array(TokenIds).min(1).max(MOST_INPUTS)]),
  dimensions: z.int().min(1).max(100_000).nullish(),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  user: z.string().max(512).nullish(),
});
export type EmbeddingBody = z.infer<typeof EmbeddingBody>;

export const createEmbeddings = operation({
  id: 'createEmbeddings',
  method: 'POST',
  path: '/v1/embeddings',
  summary: 'Texts as vectors of a model',
  permission: 'chat:use',
  dialect: 'openai',
  body: EmbeddingBody,
  bodyLimit: EMBEDDING_BODY_BYTES,
  answers: true,
  result: z.object({
    object: z.literal('list'),
    data: z.array(
      z.object({
        object: z.literal('embedding'),
        index: z.int().min(0),
        /** Little-endian floats in base64 when `encoding_format` says so. */
        embedding: z.union([z.array(z.number()), z.string()]),
      }),
    ),
    model: z.string(),
    usage: z.object({
      prompt_tokens: z.int().min(0),
      total_tokens: z.int().min(0),
      credits: Credits,
      remaining_credits: Credits,
      estimated: z.boolean(),
    }),
  }),
  errors: [
    'UNSUPPORTED_PARAMETER',
    'MODEL_NOT_FOUND',
    'CONTEXT_LENGTH_EXCEEDED',
    'UPSTREAM_REJECTED',
    ...BEFORE_THE_FIRST_BYTE,
  ],
});
