import type { chat } from '@tollgate/contracts';
import type { Turn } from '../conversation.ts';
import { type MediaFault, readDataUrl } from './completion-media.ts';

type Message = chat.CompletionMessage;
type Part = chat.CompletionPart;
type Body = chat.CompletionBody;

/** Uploads of one question: the contract's limit. */
const MOST_UPLOADS = 10;
/** What only a model can do; a flow decides such things by itself. */
const OF_MODELS = [
  'tools',
  'tool_choice',
  'response_format',
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'prediction',
] as const;

export interface FlowQuestion {
  readonly question: string;
  readonly history: readonly Turn[];
  readonly uploads: readonly { data: string; type: string; name: string; mime: string }[];
}

/** What a flow cannot give; sampling and limits that it does not know are left to it. */
export function notForFlows(body: Body): MediaFault | undefined {
  const message = 'is not supported by this chatflow';
  const parameter = OF_MODELS.find((name) => body[name] !== undefined && body[name] !== null && !isDefault(body, name));
  if (parameter) return { path: parameter, message };
  if ((body.n ?? 1) > 1) return { path: 'n', message };
  const at = body.messages.findIndex(
    (one) => one.role === 'tool' || (one.role === 'assistant' && one.tool_calls?.length),
  );
  return at < 0 ? undefined : { path: `messages.${at}`, message: 'tools are not supported by this chatflow' };
}

/** Some clients write down what holds anyway. */
function isDefault(body: Body, name: (typeof OF_MODELS)[number]): boolean {
  if (name === 'response_format') return body.response_format?.type === 'text';
  if (name === 'tools') return body.tools?.length === 0;
  if (name === 'tool_choice') return body.tool_choice === 'none' || body.tool_choice === 'auto';
  return name === 'logprobs' && body.logprobs === false;
}

/**
 * A conversation as a flow takes it: the last message is the question, the ones before it the history, all files go along with
 * the question. A flow has instructions of its own, so that the client's stand in front of the question, as its own words.
 */
export function questionFor(messages: readonly Message[]): FlowQuestion | MediaFault {
  const last = messages.length - 1;
  if (messages[last]?.role !== 'user') return { path: `messages.${last}`, message: 'must be the question of a user' };
  const instructions = messages.filter(({ role }) => role === 'system' || role === 'developer').map(textOf);
  const turns = messages.slice(0, last).flatMap((message): Turn[] => {
    return message.role === 'user' || message.role === 'assistant'
      ? [{ role: message.role, content: textOf(message) }]
      : [];
  });
  const parts = messages.flatMap((message, at) =>
    partsOf(message).map((part, n) => ({ part, path: `messages.${at}.content.${n}` })),
  );
  const uploads = parts.flatMap(({ part, path }) => uploadOf(part, path));
  const fault = uploads.find((upload): upload is MediaFault => 'path' in upload);
  if (fault) return fault;
  if (uploads.length > MOST_UPLOADS) return { path: 'messages', message: `may hold at most ${MOST_UPLOADS} files` };
  const question = [...instructions, textOf(messages[last])].join('\n\n').trim();
  if (question === '') return { path: `messages.${last}`, message: 'must have a text' };
  return {
    question,
    history: turns.filter(({ content }) => content !== ''),
    uploads: uploads as FlowQuestion['uploads'],
  };
}

const partsOf = ({ role, content }: Message): readonly Part[] =>
  role === 'user' && typeof content === 'object' ? content : [];

function textOf({ content }: Message): string {
  if (typeof content === 'string') return content;
  return (content ?? []).flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}

function uploadOf(part: Part, path: string): (FlowQuestion['uploads'][number] | MediaFault)[] {
  if (part.type === 'text') return [];
  if (part.type === 'input_audio') {
    const { data, format } = part.input_audio;
    return [{ data, type: 'audio', name: `audio.${format}`, mime: format === 'wav' ? 'audio/wav' : 'audio/mpeg' }];
  }
  const url = part.type === 'image_url' ? part.image_url.url : part.file.file_data;
  const file = readDataUrl(url);
  if (!file) return [{ path, message: 'must be a data URL for this chatflow' }];
  const isImage = part.type === 'image_url';
  const name = isImage ? `image.${file.mime.split('/')[1]}` : (part.file.filename ?? 'file');
  return [{ ...file, type: isImage ? 'file' : 'file:full', name }];
}
