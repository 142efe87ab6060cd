import { z } from 'zod';

/** Characters of one text; the body limit is what bounds all of them together. */
const LONGEST_TEXT = 1_000_000;
/** Base64 of 10 MiB, with the head of a data URL. */
const LONGEST_MEDIA = 14_000_000;
const MOST_PARTS = 200;
const MOST_MESSAGES = 1000;
const MOST_CALLS = 128;

// Messages are not strict: clients send answers back with what their own library has put into them (`parsed`, `cache_control`).
// What is not named here is dropped.
const Text = z.string().max(LONGEST_TEXT);
/** Names of functions and participants (OpenAI API reference, "Create chat completion"). */
const Name = z.string().regex(/^[\w-]{1,64}$/, 'may hold letters, digits, dash and underscore');

const TextPart = z.object({ type: z.literal('text'), text: Text });
const RefusalPart = z.object({ type: z.literal('refusal'), refusal: Text });
const ImagePart = z.object({
  type: z.literal('image_url'),
  /** A data URL whose bytes are a jpeg, png, gif or webp, or the address of one that everybody can read. */
  image_url: z.object({
    url: z.string().min(1).max(LONGEST_MEDIA),
    detail: z.enum(['auto', 'low', 'high', 'original']).nullish(),
  }),
});
const AudioPart = z.object({
  type: z.literal('input_audio'),
  input_audio: z.object({ data: z.string().min(1).max(LONGEST_MEDIA), format: z.enum(['wav', 'mp3']) }),
});
/** Always with its bytes: `file_id` would name something in an account that all users share. */
const FilePart = z.object({
  type: z.literal('file'),
  file: z.object({
    file_data: z.string().min(1).max(LONGEST_MEDIA),
    filename: z.string().trim().min(1).max(255).optional(),
  }),
});
export const CompletionPart = z.discriminatedUnion('type', [TextPart, ImagePart, AudioPart, FilePart]);
export type CompletionPart = z.infer<typeof CompletionPart>;

const partsOf = <Part extends z.ZodType>(part: Part) => z.array(part).min(1).max(MOST_PARTS);
const Texts = z.union([Text, partsOf(TextPart)]);

const CalledFunction = z.object({
  id: z.string().min(1).max(200),
  type: z.literal('function'),
  function: z.object({ name: Name, arguments: Text }),
  /** What some models want to see again (thought signatures); clients return it untouched. */
  extra_content: z.json().optional(),
});
const CalledTool = z.object({
  id: z.string().min(1).max(200),
  type: z.literal('custom'),
  custom: z.object({ name: Name, input: Text }),
});

const named = { name: Name.optional() };

/** Fields of an answer of ours are accepted, because clients send answers back as they came. */
const AssistantMessage = z.object({
  role: z.literal('assistant'),
  content: z.union([Text, partsOf(z.discriminatedUnion('type', [TextPart, RefusalPart]))]).nullish(),
  refusal: Text.nullish(),
  reasoning_content: Text.nullish(),
  tool_calls: z
    .array(z.discriminatedUnion('type', [CalledFunction, CalledTool]))
    .max(MOST_CALLS)
    .nullish(),
  annotations: z.array(z.json()).max(MOST_PARTS).nullish(),
  ...named,
});

export const CompletionMessage = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content: Texts, ...named }),
  z.object({ role: z.literal('developer'), content: Texts, ...named }),
  z.object({
    role: z.literal('user'),
    content: z.union([Text, partsOf(CompletionPart)]),
    ...named,
  }),
  AssistantMessage,
  z.object({
    role: z.literal('tool'),
    content: z.union([Text, partsOf(z.discriminatedUnion('type', [TextPart, ImagePart]))]),
    tool_call_id: z.string().min(1).max(200),
    ...named,
  }),
]);
export type CompletionMessage = z.infer<typeof CompletionMessage>;

export const CompletionMessages = z.array(CompletionMessage).min(1).max(MOST_MESSAGES);
