import type { Chatflow } from '../chatflow.ts';

/** What the ids of models begin with, among those of chatflows. */
export const MODEL_PREFIX = 'model:';

/** What a client of OpenAI's API calls a chatflow: a model by its plain name. */
export const modelNameOf = ({ id }: Pick<Chatflow, 'id'>): string =>
  id.startsWith(MODEL_PREFIX) ? id.slice(MODEL_PREFIX.length) : id;
