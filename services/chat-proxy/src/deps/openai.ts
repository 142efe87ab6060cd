import type { Answering } from './answer.ts';
import type { Config } from '../config.ts';
import { createComplete } from '../flows/openai/complete.ts';
import { createEmbed } from '../flows/openai/embed.ts';
import { createFindModel } from '../flows/openai/find-model.ts';
import type { Chatflows } from '../ports.ts';
import type { OpenAiFlows } from '../routes/openai.ts';
import type { StreamSettings } from '../routes/answer-stream.ts';

interface OpenAiNeighbours {
  readonly chatflows: Pick<Chatflows, 'findFor' | 'listFor'>;
  readonly answering: Answering;
  readonly stream: StreamSettings;
}

/** The flows behind the routes that clients of OpenAI's API call. */
export function createOpenAiFlows(config: Config, { chatflows, answering, stream }: OpenAiNeighbours): OpenAiFlows {
  const extraParameters = config.COMPLETION_EXTRA_PARAMETERS;
  const rules = {
    mostChoices: config.COMPLETION_MAX_CHOICES,
    imageTokens: config.COMPLETION_IMAGE_TOKENS,
    fileTokens: config.COMPLETION_FILE_TOKENS,
    extraParameters,
  };
  const findModel = createFindModel({ chatflows });
  return {
    findModel,
    complete: createComplete({ findModel, chat: answering.chat, rules }),
    embed: createEmbed({ ...answering.chatDeps, ...answering.streams, findModel, extraParameters }),
    listFor: (caller) => chatflows.listFor(caller),
    stream,
  };
}
