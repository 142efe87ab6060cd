import { AppError } from '@tollgate/http-kit';
import { FormData } from 'undici';
import type { Attachment, FlowiseSide, SideFile, SpeechEvent } from '../../ports.ts';
import { fieldsOf, listOf } from '../upstream/reported-usage.ts';
import { parseJson } from '../upstream/upstream-call.ts';
import { UpstreamError, wordsOf } from '../upstream/upstream-error.ts';
import type { SideCalls } from './flowise-side-calls.ts';

/** Milliseconds: Flowise reads the text out of files before it answers. */
const READING_MS = 60_000;
const UPSERT_MS = 300_000;
const SPEECH_MS = 120_000;
const DOWNLOAD_MS = 30_000;
const LARGEST_FILE = 32 * 1024 * 1024;
const LONGEST_SPEECH = 32 * 1024 * 1024;
const LONGEST_NAME = 255;
const LONGEST_CONTENT = 10_000_000;

/** What a chat window asks of Flowise beside answers; `callsOf` finds the server by its name. */
export const flowiseSide = (callsOf: (upstream: string) => SideCalls): FlowiseSide => ({
  async attachments(flow, chatId, files) {
    const path = `attachments/${inPath(flow.id)}/${inPath(chatId)}`;
    const rows = await orRefused(
      callsOf(flow.upstream).ask('POST', { path, body: formOf(files), limitMs: READING_MS }),
    );
    return listOf(rows).slice(0, files.length).map(attachmentOf);
  },

  async upsert(flow, { files, fields }) {
    const body = files.length > 0 ? formOf(files, fields) : fields;
    const path = `vector/upsert/${inPath(flow.id)}`;
    const counts = await orRefused(callsOf(flow.upstream).ask('POST', { path, body, limitMs: UPSERT_MS }));
    return Object.fromEntries(
      Object.entries(fieldsOf(counts)).flatMap(([name, value]) =>
        /^num[A-Z]\w{0,30}$/.test(name) && typeof value === 'number' ? [[name, value]] : [],
      ),
    );
  },

  async feedback(flow, { chatId, messageId, rating, content = '' }) {
    const body = { chatflowid: flow.id, chatId, messageId, rating, content };
    const { id } = fieldsOf(await callsOf(flow.upstream).ask('POST', { path: `feedback/${inPath(flow.id)}`, body }));
    if (typeof id !== 'string') throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the feedback has no id');
    return id;
  },

  async changeFeedback(flow, feedbackId, changes) {
    await callsOf(flow.upstream).ask('PUT', { path: `feedback/${inPath(feedbackId)}`, body: changes });
  },

  async lead(flow, lead) {
    await callsOf(flow.upstream).ask('POST', { path: 'leads', body: { chatflowid: flow.id, ...lead } });
  },

  async *textToSpeech(flow, { chatId, messageId, text }, signal) {
    const calls = callsOf(flow.upstream);
    const names = { chatflowId: flow.id, chatId, chatMessageId: messageId };
    const request = { path: 'text-to-speech/generate', body: { ...names, text }, limitMs: SPEECH_MS };
    let size = 0;
    let hasEnded = false;
    try {
      for await (const data of calls.events(request, signal)) {
        size += data.length;
        if (size > LONGEST_SPEECH) throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the speech is too long');
        const event = speechEventOf(data);
        hasEnded = event?.event === 'tts_end';
        if (event) yield event;
        if (hasEnded) return;
      }
      throw new AppError('UPSTREAM_INTERRUPTED', 'the speech broke off');
    } finally {
      // Closing the connection does not stop it, and the answer to this says nothing.
      if (!hasEnded) void calls.ask('POST', { path: 'text-to-speech/abort', body: names }).catch(() => undefined);
    }
  },

  async uploadedFile(flow, chatId, fileName) {
    const query = new URLSearchParams({ chatflowId: flow.id, chatId, fileName });
    const request = { path: `get-upload-file?${query.toString()}`, limitMs: DOWNLOAD_MS };
    try {
      return await callsOf(flow.upstream).file(request, LARGEST_FILE);
    } catch (error) {
      // Flowise has one status for everything; what is there is sent.
      if (error instanceof UpstreamError && error.upstreamStatus !== undefined) throw new AppError('NOT_FOUND');
      throw error;
    }
  },
});

const inPath = encodeURIComponent;

function formOf(files: readonly SideFile[], fields: Readonly<Record<string, unknown>> = {}): FormData {
  const form = new FormData();
  // Objects travel as JSON inside a form.
  for (const [name, value] of Object.entries(fields))
    form.append(name, typeof value === 'string' ? value : JSON.stringify(value));
  for (const { name, mime, bytes } of files) form.append('files', new File([Buffer.from(bytes)], name, { type: mime }));
  return form;
}

function attachmentOf(row: unknown): Attachment {
  const { name, mimeType, size, content } = fieldsOf(row);
  return {
    name: textOf(name, LONGEST_NAME),
    mimeType: textOf(mimeType, LONGEST_NAME),
    size: Number.isSafeInteger(size) && Number(size) >= 0 ? Number(size) : 0,
    content: textOf(content, LONGEST_CONTENT),
  };
}

const textOf = (value: unknown, longest: number): string => (typeof value === 'string' ? value.slice(0, longest) : '');

function speechEventOf(data: string): SpeechEvent | undefined {
  const { event, data: content } = fieldsOf(parseJson(data));
  const { format, audioChunk } = fieldsOf(content);
  if (event === 'tts_error') throw new AppError('UPSTREAM_FAILED', 'the flow’s speech provider failed');
  if (event === 'tts_start')
    return { event, format: typeof format === 'string' ? format.slice(0, LONGEST_NAME) : 'mp3' };
  if (event === 'tts_data' && typeof audioChunk === 'string') return { event, audioChunk };
  return event === 'tts_end' ? { event } : undefined;
}

/** What Flowise says when the flow does not take such a file; its status is 500, as for everything (T-F8). */
const REFUSED = /file upload is not enabled|file type .* is not allowed|invalid file type/i;

async function orRefused<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    const isRefusal = error instanceof UpstreamError && REFUSED.test(wordsOf(error));
    throw isRefusal
      ? new AppError('VALIDATION_FAILED', 'This chatflow does not take such files', { cause: error })
      : error;
  }
}
