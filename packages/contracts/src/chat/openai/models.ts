import { z } from 'zod';
import { operation } from '../../operation.ts';
import { ModelName } from './completions.ts';

/** Something to ask: a model, or a chatflow under its id. */
const Model = z.object({
  id: z.string(),
  object: z.literal('model'),
  /** Seconds since 1970. */
  created: z.int().min(0),
  owned_by: z.string(),
  name: z.string(),
  description: z.string().nullable(),
});

export const listModels = operation({
  id: 'listModels',
  method: 'GET',
  path: '/v1/models',
  summary: 'Models and chatflows the caller may use',
  permission: 'chat:use',
  dialect: 'openai',
  result: z.object({ object: z.literal('list'), data: z.array(Model) }),
});

export const readModel = operation({
  id: 'readModel',
  method: 'GET',
  path: '/v1/models/:model',
  summary: 'One of them',
  permission: 'chat:use',
  dialect: 'openai',
  params: z.strictObject({ model: ModelName }),
  result: Model,
  errors: ['MODEL_NOT_FOUND'],
});
