import { list, whole } from '@tollgate/config';
import { z } from 'zod';

/** They would choose whom, as whom or what else is asked; no operator can mean that. */
const NEVER =
  /^(?:api_?(?:base|key|type|version)|base_?url|(?:custom_|extra_)?(?:host|headers|query|body)|custom_llm_provider|model|messages|n|stream|stream_options|store|metadata|functions|function_call|max_(?:completion_)?tokens|input|__proto__)$/i;

/** What a client of OpenAI's API may ask for. */
export const openAiVariables = {
  COMPLETION_MAX_CHOICES: whole({ min: 1, max: 128 })
    .default(8)
    .describe('Answers to choose from (`n`) that one chat completion has at most; each is reserved in full'),
  COMPLETION_IMAGE_TOKENS: whole({ min: 1, max: 1_000_000 })
    .default(2048)
    .describe('Input tokens reserved for an image in a chat completion'),
  COMPLETION_FILE_TOKENS: whole({ min: 1, max: 10_000_000 })
    .default(16_384)
    .describe('Input tokens reserved for a recording or a file in a chat completion'),
  COMPLETION_EXTRA_PARAMETERS: list(
    z
      .string()
      .regex(/^[a-z_][\w-]{0,63}$/i, 'is no name of a parameter')
      .refine((name) => !NEVER.test(name), 'can never be chosen by a client'),
  )
    .default([])
    .describe('Further parameters of `/v1` requests that go to the model, between commas; others are refused'),
};
