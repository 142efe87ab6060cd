import { ChatflowId } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { UploadRules } from '../../domain/chatflow.ts';
import type { ChatflowConfig } from '../../domain/wire-types.ts';
import type { FoundChatflow } from '../../ports.ts';
import { fieldsOf, listOf } from '../upstream/reported-usage.ts';

const LONGEST_NAME = 200;
const LONGEST_TEXT = 2000;
const MOST_PROMPTS = 20;

/** The rows of `GET /api/v1/chatflows` without anything secret: flow data, keys and credential ids are never kept. */
export function foundFlows(body: unknown, upstream: string): FoundChatflow[] {
  const rows = Array.isArray(body) ? body : fieldsOf(body).data;
  if (!Array.isArray(rows)) throw new AppError('UPSTREAM_PROTOCOL_ERROR', 'the list of chatflows is no list');
  return rows.flatMap((row) => foundFlow(fieldsOf(row), upstream) ?? []);
}

function foundFlow(row: Readonly<Record<string, unknown>>, upstream: string): FoundChatflow | undefined {
  const id = ChatflowId.safeParse(row.id);
  if (!id.success) return undefined;
  const type = textOf(row.type, LONGEST_NAME) ?? 'CHATFLOW';
  return {
    id: id.data,
    upstream,
    kind: 'flowise',
    model: type,
    name: textOf(row.name, LONGEST_NAME) ?? id.data,
    description: textOf(row.description, LONGEST_TEXT) ?? null,
    category: textOf(row.category, LONGEST_NAME) ?? null,
    type,
    deployed: row.deployed === true,
    isPublic: row.isPublic === true,
    config: configOf(row),
    uploads: uploadsOf(row),
    createdAt: dateOf(row.createdDate),
    updatedAt: dateOf(row.updatedDate),
  };
}

/** Which kinds of files the flow's own settings and nodes take; of the nodes themselves nothing is kept. */
function uploadsOf(row: Readonly<Record<string, unknown>>): UploadRules {
  const { fullFileUpload } = fieldsOf(parsed(row.chatbotConfig));
  return {
    images: typeof row.flowData === 'string' && TAKES_IMAGES.test(row.flowData),
    files: statusOf(fullFileUpload) ?? false,
    audio: hasProvider(row.speechToText),
  };
}

/** Speech settings name providers, of which one is switched on. */
const hasProvider = (json: unknown): boolean =>
  Object.values(fieldsOf(parsed(json))).some((provider) => statusOf(provider) === true);

/** An input of a model's node in `flowData`, which is JSON text. */
const TAKES_IMAGES = /"allowImageUploads"\s*:\s*(?:true|"true")/;

/** How a chat window presents the flow; a JSON text at Flowise, with prompts and keys beside what is taken here. */
function configOf({ chatbotConfig, textToSpeech }: Readonly<Record<string, unknown>>): ChatflowConfig | null {
  const config = fieldsOf(parsed(chatbotConfig));
  const speaks = hasProvider(textToSpeech);
  if (Object.keys(config).length === 0 && !speaks) return null;
  const { fullFileUpload } = config;
  return defined({
    welcomeMessage: textOf(config.welcomeMessage, LONGEST_TEXT),
    errorMessage: textOf(config.errorMessage, LONGEST_TEXT),
    title: textOf(config.title, LONGEST_NAME),
    starterPrompts: promptsOf(config.starterPrompts),
    chatFeedback: statusOf(config.chatFeedback),
    leads: statusOf(config.leads),
    followUpPrompts: statusOf(config.followUpPrompts),
    fullFileUpload: statusOf(fullFileUpload),
    ...(speaks && { textToSpeech: true }),
    allowedUploadFileTypes: textOf(fieldsOf(fullFileUpload).allowedUploadFileTypes, LONGEST_TEXT),
  });
}

function promptsOf(value: unknown): string[] | undefined {
  const list = Array.isArray(value) ? listOf(value) : Object.values(fieldsOf(value));
  const prompts = list.slice(0, MOST_PROMPTS).flatMap((item) => textOf(fieldsOf(item).prompt, LONGEST_TEXT) ?? []);
  return prompts.length > 0 ? prompts : undefined;
}

const statusOf = (value: unknown): boolean | undefined => {
  const { status } = fieldsOf(value);
  return typeof status === 'boolean' ? status : undefined;
};

const textOf = (value: unknown, longest: number): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, longest) : undefined;

function dateOf(value: unknown): Date | null {
  const date = typeof value === 'string' ? new Date(value) : undefined;
  return date && !Number.isNaN(date.getTime()) ? date : null;
}

function parsed(json: unknown): unknown {
  if (typeof json !== 'string') return json;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

type Defined<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

const defined = <T extends object>(fields: T): Defined<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
