import { z } from 'zod';

const MOST_TOOLS = 128;
const LONGEST_DESCRIPTION = 20_000;

const Name = z.string().regex(/^[\w.-]{1,64}$/, 'may hold letters, digits, dot, dash and underscore');
const Description = z.string().max(LONGEST_DESCRIPTION).nullish();
/** A JSON Schema; the body limit bounds it, and its bytes count as input. */
const Schema = z.record(z.string(), z.json());

const FunctionTool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({
    name: Name,
    description: Description,
    parameters: Schema.nullish(),
    strict: z.boolean().nullish(),
  }),
});
/** A tool whose input is text, freely or by a grammar. */
const CustomTool = z.strictObject({
  type: z.literal('custom'),
  custom: z.strictObject({ name: Name, description: Description, format: z.json().optional() }),
});
export const Tools = z.array(z.discriminatedUnion('type', [FunctionTool, CustomTool])).max(MOST_TOOLS);

const NamedFunction = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({ name: Name }),
});
const NamedTool = z.strictObject({ type: z.literal('custom'), custom: z.strictObject({ name: Name }) });

export const ToolChoice = z.union([
  z.enum(['none', 'auto', 'required']),
  z.discriminatedUnion('type', [
    NamedFunction,
    NamedTool,
    z.strictObject({
      type: z.literal('allowed_tools'),
      allowed_tools: z.strictObject({
        mode: z.enum(['auto', 'required']),
        tools: z.array(z.discriminatedUnion('type', [NamedFunction, NamedTool])).max(MOST_TOOLS),
      }),
    }),
  ]),
]);

export const ResponseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: Name,
      description: Description,
      schema: Schema.optional(),
      strict: z.boolean().nullish(),
    }),
  }),
]);
