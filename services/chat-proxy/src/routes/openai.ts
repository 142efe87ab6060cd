import { chat } from '@tollgate/contracts';
import { AppError, reply, type Route, serve } from '@tollgate/http-kit';
import type { Answer } from '../domain/answer.ts';
import type { Chatflow } from '../domain/chatflow.ts';
import { type ChunkOptions, CompletionChunks } from '../domain/openai/completion-chunks.ts';
import { modelNameOf } from '../domain/openai/model-name.ts';
import { WholeCompletion } from '../domain/openai/whole-completion.ts';
import type { Complete } from '../flows/openai/complete.ts';
import type { Embed } from '../flows/openai/embed.ts';
import type { FindModel } from '../flows/openai/find-model.ts';
import type { Asker } from '../ports.ts';
import { answerHeaders, forWhole, streamAnswer, type StreamSettings } from './answer-stream.ts';
import { openAiFraming } from './openai-framing.ts';

export interface OpenAiFlows {
  readonly complete: Complete;
  readonly embed: Embed;
  readonly findModel: FindModel;
  readonly listFor: (caller: Asker) => Promise<Chatflow[]>;
  readonly stream: StreamSettings;
}

/** What clients of OpenAI's API call: models and chatflows under the same names. */
export const openAiRoutes = ({ complete, embed, findModel, listFor, stream }: OpenAiFlows): Route[] => [
  serve(chat.createChatCompletion).with(async ({ body }, caller, { idempotencyKey, headers, signal }) => {
    const { model } = body;
    const request = { idempotencyKey, clientHeaders: headers, origin: headers.origin };
    const answer = complete(caller, { body, ...request }, signal);
    if (body.stream === true) {
      const tellsUsage = body.stream_options?.include_usage === true;
      return streamAnswer(answer, openAiFraming({ model, tellsUsage }), stream);
    }
    const { whole, told } = await wholeCompletion(forWhole(answer, signal), { model, tellsUsage: true });
    const charged = { ...chargeHeader(whole.usage?.credits ?? 0), ...answerHeaders(told) };
    return reply(200, whole.toJSON() as never, { headers: charged }); // the contract checks it
  }),
  serve(chat.listModels).with(async (_, caller) => ({
    object: 'list',
    data: (await listFor(caller)).map(modelOf),
  })),
  serve(chat.readModel).with(async ({ params }, caller) => modelOf(await findModel(caller, params.model))),
  serve(chat.createEmbeddings).with(async ({ body }, caller, { headers, signal }) => {
    const { vectors, bill } = await embed(caller, { body, clientHeaders: headers, origin: headers.origin }, signal);
    const tokens = bill?.inputTokens ?? 0;
    const credits = bill?.credits ?? 0;
    const usage = {
      prompt_tokens: tokens,
      total_tokens: tokens,
      credits,
      remaining_credits: bill?.remainingCredits ?? 0,
      estimated: bill?.estimated ?? false,
    };
    const data = vectors.map((embedding, index) => ({ object: 'embedding', index, embedding }));
    const answer = { object: 'list', data, model: body.model, usage };
    return reply(200, answer as never, { headers: chargeHeader(credits) }); // the contract checks it once more
  }),
];

const chargeHeader = (credits: number) => ({ 'x-credits-charged': String(credits) });

const modelOf = (chatflow: Chatflow) => ({
  id: modelNameOf(chatflow),
  object: 'model' as const,
  created: Math.floor((chatflow.createdAt ?? chatflow.syncedAt).getTime() / 1000),
  owned_by: 'tollgate',
  name: chatflow.name,
  description: chatflow.description,
});

/** The answer of a stream, in one piece; `told` is what its first event says of it. */
async function wholeCompletion(
  answer: Answer,
  options: ChunkOptions,
): Promise<{ whole: WholeCompletion; told: Readonly<Record<string, unknown>> }> {
  const chunks = new CompletionChunks(options);
  const whole = new WholeCompletion();
  let told: Readonly<Record<string, unknown>> = {};
  for await (const events of answer) {
    told = events.find(({ event }) => event === 'session_id') ?? told;
    for (const chunk of events.flatMap((event) => chunks.of(event))) {
      if (!whole.add(chunk)) throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the answer is too long for one piece');
    }
  }
  return { whole, told };
}
