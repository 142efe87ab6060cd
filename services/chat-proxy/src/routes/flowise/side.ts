import { chat } from '@tollgate/contracts';
import { type AppError, type Route, serve, stream, toAppError, toProblem } from '@tollgate/http-kit';
import type { HoldId } from '../../domain/wire-types.ts';
import type { createAttachFiles } from '../../flows/flowise/attach-files.ts';
import type { createReadUpload } from '../../flows/flowise/read-upload.ts';
import type { Speak } from '../../flows/flowise/speak.ts';
import type { ReadFiles } from '../../flows/files/read-files.ts';
import type { SpeechEvent } from '../../ports.ts';
import { bytesOf, madeFile } from '../files.ts';

export interface FlowiseSideFlows {
  readonly attachments: ReturnType<typeof createAttachFiles>;
  readonly readUpload: ReturnType<typeof createReadUpload>;
  readonly files: ReadFiles;
  readonly speak: Speak;
}

/** What chat windows ask for beside answers. */
export const flowiseSideRoutes = ({ attachments, readUpload, files, speak }: FlowiseSideFlows): Route[] => [
  serve(chat.attachFlowiseFiles).with(({ params, body: form }, caller, { headers }) =>
    attachments.attach(caller, params.id, { form, origin: headers['origin'] }),
  ),
  serve(chat.upsertFlowiseVectors).with(({ params, body }) => attachments.feed(params.id, body)),
  serve(chat.readFlowiseUpload).with(async ({ query }, caller, context) => {
    const found = await readUpload(caller, query);
    const isDownload = query.download === 'true' || query.download === '1';
    return 'stored' in found
      ? bytesOf(files, found.stored, { context, isDownload })
      : madeFile({ ...found, name: query.fileName }, isDownload);
  }),
  serve(chat.speakFlowiseAnswer).with(async ({ body }, caller, { headers, signal }) => {
    const { chatMessageId, ...said } = body;
    const order = { ...said, requestId: chatMessageId as HoldId, origin: headers['origin'] };
    const speech = speak(caller, order, signal);
    // A refusal keeps its status.
    const first = await speech.next();
    return stream('text/event-stream', framesOf(speech, first, chatMessageId));
  }),
  serve(chat.stopFlowiseSpeech).with(() => ({ message: 'TTS stream aborted' })),
];

/** Flowise's frames of speech, which name the event twice. */
async function* framesOf(
  speech: AsyncGenerator<SpeechEvent, void>,
  first: IteratorResult<SpeechEvent, void>,
  chatMessageId: string,
): AsyncGenerator<string, void, undefined> {
  const frame = (event: string, data: object) =>
    `event: ${event}\ndata: ${JSON.stringify({ event, data: { chatMessageId, ...data } })}\n\n`;
  try {
    for (let next = first; !next.done; next = await speech.next()) {
      const { event, ...data } = next.value;
      yield frame(event, data);
    }
  } catch (thrown) {
    yield frame('tts_error', { error: sentenceOf(toAppError(thrown)) });
  } finally {
    await speech.return();
  }
}

const sentenceOf = (error: AppError): string => toProblem(error).detail;
