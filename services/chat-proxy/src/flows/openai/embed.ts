import { chat } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { isFlow, originAllowed } from '../../domain/chatflow.ts';
import { type Bill, promptBytes } from '../../domain/price.ts';
import { Reply } from '../../domain/reply.ts';
import type { HoldId } from '../../domain/wire-types.ts';
import type { Asker, EmbeddingRequest, Embeddings } from '../../ports.ts';
import type { Answers } from '../answers/answer-with-fallback.ts';
import type { Strikes } from '../answers/count-strikes.ts';
import type { Holds } from '../answers/hold-credits.ts';
import type { OpenHold } from '../answers/open-hold.ts';
import type { Ask } from '../answers/prepare-ask.ts';
import { parametersOf, refuseUnknown } from './complete.ts';
import type { AnswerLimits } from '../limits/limit-answers.ts';
import { type FindModel, unknownModel } from './find-model.ts';

type Body = chat.EmbeddingBody;

/** Bytes that stand for a token that came as a number, when our own count is all there is. */
const BYTES_PER_TOKEN = 4;

export interface EmbedDeps {
  readonly findModel: FindModel;
  readonly holds: Pick<Holds, 'open' | 'bill' | 'close'>;
  readonly answers: Pick<Answers, 'places' | 'embed'>;
  readonly strikes: Pick<Strikes, 'refuse'>;
  readonly limits: Pick<AnswerLimits, 'enter'>;
  readonly newRequestId: () => HoldId;
  /** Aborts when the process must stop answering. */
  readonly stopping: AbortSignal;
  readonly finished: (answer: { hold: OpenHold; error: unknown }) => void;
  readonly extraParameters: readonly string[];
}

interface Asking extends Pick<Ask, 'clientHeaders' | 'origin'> {
  readonly body: Body;
}

type BilledEmbeddings = Embeddings & { readonly bill: Bill | undefined };

/** Texts as vectors: held, asked and settled like an answer, only that it has no output and comes in one piece. */
export const createEmbed = (deps: EmbedDeps) =>
  async function embed(
    caller: Asker,
    { body, origin, clientHeaders }: Asking,
    signal: AbortSignal,
  ): Promise<BilledEmbeddings> {
    refuseUnknown(body, chat.EmbeddingBody.shape, deps.extraParameters);
    const chatflow = await deps.findModel(caller, body.model);
    if (isFlow(chatflow)) throw unknownModel();
    if (!originAllowed(chatflow, origin)) throw new AppError('ORIGIN_NOT_ALLOWED');
    deps.strikes.refuse(caller.userId);
    const places = deps.answers.places(chatflow);

    const requestId = deps.newRequestId();
    const wanted = { ...requestOf(body, deps.extraParameters), requestId, clientHeaders };
    const reply = new Reply({ promptBytes: bytesOf(body.input), keeps: false });
    const seat = await deps.limits.enter(caller, chatflow, requestId);
    let hold: OpenHold | undefined;
    let failure: unknown;
    try {
      const order = { holdId: requestId, chatflow: places[0], reply, wantedOutput: 0, stop: new AbortController() };
      hold = await deps.holds.open(caller, order);
      await seat.granted;
      const over = AbortSignal.any([signal, deps.stopping, hold.stop.signal]);
      const embeddings = await deps.answers.embed(places, wanted, over);
      // Something was made, although not a word of it: without a count by the upstream our own is charged.
      reply.add({ kind: 'text', text: 'vectors' });
      if (embeddings.usage) reply.add(embeddings.usage);
      reply.status = 'completed';
      return { ...embeddings, bill: await deps.holds.bill(hold) };
    } catch (error) {
      failure = error;
      reply.status = signal.aborted ? 'aborted' : 'failed';
      throw error;
    } finally {
      seat.leave();
      await deps.holds.close(hold);
      if (hold) deps.finished({ hold, error: failure });
    }
  };

export type Embed = ReturnType<typeof createEmbed>;

const requestOf = (body: Body, extra: readonly string[]): Omit<EmbeddingRequest, 'requestId'> => ({
  input: body.input,
  parameters: parametersOf(body, ['dimensions', 'encoding_format', ...extra]),
  count: inputsOf(body.input).length,
});

/** A text or a list of token numbers is one input; else every item of the list is. */
function inputsOf(input: Body['input']): readonly (string | readonly number[])[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as number[]] : (input as string[] | number[][]);
}

function bytesOf(input: Body['input']): number {
  const inputs = inputsOf(input);
  const texts = inputs.filter((one) => typeof one === 'string');
  const tokens = inputs.reduce((sum, one) => sum + (typeof one === 'string' ? 0 : one.length), 0);
  return promptBytes(texts) + tokens * BYTES_PER_TOKEN;
}
