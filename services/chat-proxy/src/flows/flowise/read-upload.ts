import { AppError } from '@tollgate/http-kit';
import { isFlow } from '../../domain/chatflow.ts';
import { isPicture, judgeFile, KNOWN_TYPES } from '../../domain/files/file-types.ts';
import { Sampler } from '../../domain/files/sampler.ts';
import type { ChatflowId } from '../../domain/wire-types.ts';
import type { Chatflows, Files, FlowiseSide, Owner, Sessions, StoredFile } from '../../ports.ts';
import type { OpenChat } from './open-chat.ts';

export interface ReadUploadDeps {
  readonly openChat: OpenChat;
  readonly chatflows: Pick<Chatflows, 'find'>;
  readonly sessions: Pick<Sessions, 'findAny'>;
  readonly files: Pick<Files, 'list'>;
  readonly side: Pick<FlowiseSide, 'uploadedFile'>;
}

export interface NamedUpload {
  readonly chatflowId: ChatflowId;
  readonly chatId: string;
  readonly fileName: string;
}

/** A file of ours, or the bytes of one that the flow has made; `mime` is a picture's or nothing in particular. */
export type FoundUpload = { readonly stored: StoredFile } | { readonly bytes: Uint8Array; readonly mime: string };

/** A file of an own conversation by its name: one that its user has sent, or one that the flow has made in answering. */
export const createReadUpload = ({ openChat, chatflows, sessions, files, side }: ReadUploadDeps) =>
  async function readUpload(owner: Owner, { chatflowId, chatId, fileName }: NamedUpload): Promise<FoundUpload> {
    const { sessionId } = await openChat(owner, chatflowId, { chatId });
    const own = await files.list(owner, { sessionId });
    // Of a document whose text alone came with the question, the text was kept.
    const stored = own.findLast(({ name }) => name === fileName || name === `${fileName}.txt`);
    if (stored) return { stored };
    // Flowise makes a path of it.
    if (NO_NAME.test(fileName)) throw missing();
    const session = await sessions.findAny(owner, sessionId);
    const slot = session?.upstreamChatIds.at(-1);
    const chatflow = slot === undefined ? undefined : await chatflows.find(chatflowId);
    if (slot === undefined || !chatflow || !isFlow(chatflow)) throw missing();
    const bytes = await side.uploadedFile(chatflow, slot, fileName);
    return { bytes, mime: pictureType(bytes) ?? 'application/octet-stream' };
  };

const NO_NAME = /[/\\\p{Cc}]|^\.{1,2}$/u;

const missing = (): AppError => new AppError('NOT_FOUND', 'File not found');

const PICTURES: ReadonlySet<string> = new Set(KNOWN_TYPES.filter(isPicture));

function pictureType(bytes: Uint8Array): string | undefined {
  const sampler = new Sampler();
  sampler.add(bytes);
  const judged = judgeFile(sampler.sample(), { name: '', mime: '' }, PICTURES);
  return 'mime' in judged ? judged.mime : undefined;
}
