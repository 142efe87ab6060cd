import type { CheckedUpload } from '../../domain/file-rules.ts';
import type { FlowAt, FlowiseSide, SideFile } from '../../ports.ts';

interface FlowiseUpload {
  readonly type: string;
  readonly name: string;
  readonly mime: string;
  readonly data: string;
}

interface Destination {
  readonly side: Pick<FlowiseSide, 'attachments' | 'upsert'>;
  readonly flow: FlowAt;
  readonly chatId: string;
  readonly signal: AbortSignal;
}

/**
 * Files as a prediction takes them: pictures and sound as data URLs, whole documents as the text that Flowise reads out of
 * them, and those for the flow's document store after they were put there.
 */
export async function uploadsFor(uploads: readonly CheckedUpload[], to: Destination): Promise<FlowiseUpload[]> {
  const texts = await untilAborted(textsOf(uploads, to), to.signal);
  return uploads.map((upload) => {
    const { type, name, mime, dataUrl } = upload;
    return { type, name, mime, data: texts.get(upload) ?? dataUrl };
  });
}

async function textsOf(
  uploads: readonly CheckedUpload[],
  { side, flow, chatId }: Destination,
): Promise<ReadonlyMap<CheckedUpload, string>> {
  const whole = uploads.filter(({ type }) => type === 'file:full');
  const unread = whole.filter(({ text }) => text === undefined);
  const forStore = uploads.filter(({ type }) => type === 'file:rag');
  const read = unread.length > 0 ? await side.attachments(flow, chatId, unread.map(sideFile)) : [];
  if (forStore.length > 0) await side.upsert(flow, { files: forStore.map(sideFile), fields: { chatId } });
  return new Map(whole.map((upload) => [upload, upload.text ?? read[unread.indexOf(upload)]?.content ?? '']));
}

const sideFile = ({ name, mime, bytes }: CheckedUpload): SideFile => ({ name, mime, bytes });

/** Nobody waits for what a client that has left wanted to be read. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason as Error); // whatever its owner gave
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
