import { Amount, operation, UserId, withAliases } from '@tollgate/contracts';
import { z } from 'zod';

const params = z.strictObject({ id: UserId });
const Thing = z.object({ id: z.string(), name: z.string() });

export const makeThing = operation({
  id: 'makeThing',
  method: 'POST',
  path: '/api/things',
  summary: 'Make a thing',
  permission: 'profile:own',
  status: 201,
  body: z.strictObject({ name: z.string().min(1).max(5000), amount: Amount.optional() }),
  result: Thing,
});

export const readThing = operation({
  id: 'readThing',
  method: 'GET',
  path: '/api/things/:id',
  summary: 'Read a thing',
  permission: 'profile:own',
  params,
  query: z.strictObject({ view: z.enum(['short', 'long']).optional() }),
  result: Thing,
  errors: ['NOT_FOUND'],
});

export const replaceThing = operation({
  id: 'replaceThing',
  method: 'PUT',
  path: '/api/things/:id',
  summary: 'Replace a thing; administrators only',
  permission: 'users:write',
  params,
  body: z.strictObject({ name: z.string().max(50) }),
  result: Thing,
});

export const removeThing = operation({
  id: 'removeThing',
  method: 'DELETE',
  path: '/api/things/:id',
  summary: 'Remove a thing',
  permission: 'profile:own',
  params,
  status: 204,
  result: z.undefined(),
});

export const payThing = operation({
  id: 'payThing',
  method: 'POST',
  path: '/api/payments',
  summary: 'Pay for a thing; services only',
  permission: 'holds:write',
  idempotencyKey: 'required',
  body: z.strictObject({ amount: Amount }),
  result: z.object({ payer: z.string(), service: z.string(), key: z.string() }),
  errors: ['INSUFFICIENT_CREDITS', 'ACCOUNTING_UNAVAILABLE'],
});

/** Takes any JSON, so that nothing but the framework and the kernel stands between a body and the handler. */
export const echo = operation({
  id: 'echo',
  method: 'POST',
  path: '/api/echo',
  summary: 'Answer what was sent',
  permission: 'public',
  idempotencyKey: 'optional',
  body: z.json(),
  result: z.object({ sent: z.json() }),
  bodyLimit: 16_384,
});

export const ping = operation({
  id: 'ping',
  method: 'GET',
  path: '/api/ping',
  summary: 'Answer',
  permission: 'public',
  result: z.object({ pong: z.string() }),
});

export const tellStory = operation({
  id: 'tellStory',
  method: 'GET',
  path: '/api/story',
  summary: 'Answer piece by piece',
  permission: 'public',
  streams: true,
  result: z.string(),
  errors: ['INSUFFICIENT_CREDITS'],
});

export const signedThing = operation({
  id: 'signedThing',
  method: 'POST',
  path: '/api/signed',
  summary: 'Take in what somebody signed, as it came',
  permission: 'public',
  rawBody: true,
  bodyLimit: 32,
  body: z.instanceof(Uint8Array).meta({ override: { type: 'object' } }),
  result: z.object({ hex: z.string() }),
});

export const listThings = operation({
  id: 'listThings',
  method: 'GET',
  path: '/api/list',
  summary: 'List things, as JSON or as a table',
  permission: 'public',
  alsoAs: ['text/csv'],
  result: z.object({ things: z.array(z.string()) }),
});

const Sent = z.object({
  files: z.array(z.object({ name: z.string(), mime: z.string(), bytes: z.int() })),
  note: z.string(),
});

export const sendFiles = operation({
  id: 'sendFiles',
  method: 'POST',
  path: '/api/files',
  summary: 'Take files in a form',
  permission: 'profile:own',
  multipart: { files: 'files', mostFiles: 3, fileBytes: 1_000_000 },
  body: withAliases(z.strictObject({ note: z.string().max(70_000).optional() }), { remark: 'note' }),
  result: Sent,
});

export const sendFilesOrNone = operation({
  ...sendFiles,
  id: 'sendFilesOrNone',
  path: '/api/files-or-none',
  multipart: { ...sendFiles.multipart, orJson: true },
});
