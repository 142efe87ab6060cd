import type { chat } from '@tollgate/contracts';
import { checkUpload } from '../file-rules.ts';
import { isPublicUrl } from '../public-url.ts';

type Message = chat.CompletionMessage;
type Part = chat.CompletionPart;

const DATA_URL = /^data:([\w.+-]{1,60}\/[\w.+-]{1,60});base64,/;

/** Where a message holds something that is not what it says, and what is wrong with it. */
export interface MediaFault {
  readonly path: string;
  readonly message: string;
}

/** The first image, recording or file that cannot be sent to anybody. */
export function mediaFault(messages: readonly Message[]): MediaFault | undefined {
  for (const [at, { content }] of messages.entries()) {
    if (typeof content !== 'object' || content === null) continue;
    for (const [part, one] of content.entries()) {
      const message = faultOf(one as Part);
      if (message !== undefined) return { path: `messages.${at}.content.${part}`, message };
    }
  }
  return undefined;
}

/** Type and base64 of a data URL. */
export function readDataUrl(url: string): { mime: string; data: string } | undefined {
  const head = DATA_URL.exec(url.slice(0, 200));
  return head?.[1] === undefined ? undefined : { mime: head[1].toLowerCase(), data: url.slice(head[0].length) };
}

function faultOf(part: Part): string | undefined {
  if (part.type === 'image_url') return imageFault(part.image_url.url);
  if (part.type === 'input_audio') return audioFault(part.input_audio);
  return part.type === 'file' ? fileFault(part.file.file_data) : undefined;
}

function imageFault(url: string): string | undefined {
  if (/^https:/i.test(url)) return isPublicUrl(url) ? undefined : 'is not an address that everybody can read';
  const image = readDataUrl(url);
  if (!image) return 'must be a data URL or an https address';
  return image.mime.startsWith('image/') ? checked(image) : 'must be an image';
}

function fileFault(url: string): string | undefined {
  const file = readDataUrl(url);
  return file ? checked(file) : 'must be a data URL';
}

/** First bytes of a recording: RIFF … WAVE, or an MP3's tag or frame. */
function audioFault({ data, format }: { data: string; format: 'wav' | 'mp3' }): string | undefined {
  const bytes = Buffer.from(data, 'base64');
  if (bytes.byteLength === 0 || bytes.toString('base64') !== data) return 'the data is no base64';
  const isWav = bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WAVE';
  const isMp3 = bytes.toString('latin1', 0, 3) === 'ID3' || (bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xe0) === 0xe0);
  return (format === 'wav' ? isWav : isMp3) ? undefined : `the bytes are not those of ${format}`;
}

function checked({ mime, data }: { mime: string; data: string }): string | undefined {
  const result = checkUpload({ data, mime, name: 'file', type: 'file' });
  return typeof result === 'string' ? result : undefined;
}
